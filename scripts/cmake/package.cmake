# SPDX-License-Identifier: Apache-2.0
#
# The Debian package: cpack -G DEB in the build folder, or `make package`. Include this last.

set(cb_packaging "${CMAKE_SOURCE_DIR}/scripts/packaging")
install(FILES "${cb_packaging}/crossbeat.toml" "${cb_packaging}/crossbeat-login.sh"
        DESTINATION share/crossbeat)
install(FILES "${cb_packaging}/copyright" "${CMAKE_SOURCE_DIR}/bpf/LICENSE.GPL-2.0"
        DESTINATION share/doc/crossbeat)
install(FILES "${CMAKE_BINARY_DIR}/crossbeat.spdx.json" DESTINATION share/doc/crossbeat OPTIONAL)
# The programs carry their own copies; these are for looking at, and for loading by hand.
install(DIRECTORY "${CMAKE_BINARY_DIR}/bpf/" DESTINATION lib/crossbeat/bpf
        FILES_MATCHING PATTERN "*.bpf.o")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME crossbeat)
set(CPACK_PACKAGE_VENDOR Crossbeat)
set(CPACK_PACKAGE_CONTACT "Crossbeat <root@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "Keeps a pair of Linux appliances serving
 Two machines, joined by a cable and by the service network, keep one virtual
 address served. Heartbeats are answered by the kernel (eBPF), and the right to
 serve is a lease that the kernel enforces.")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "iproute2")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "iputils-arping, iputils-ping, ethtool, bash-completion, man-db")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    "${cb_packaging}/postinst;${cb_packaging}/prerm;${cb_packaging}/postrm")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
# What is packed was built before; packing must not build the tests.
set(CPACK_INSTALL_CMAKE_PROJECTS "${CMAKE_BINARY_DIR};crossbeat;ALL;/")
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
include(CPack)
