# SPDX-License-Identifier: Apache-2.0
#
# What `make install` lays down besides the programs: the systemd units, when there are any, and the papers.

include(GNUInstallDirs)
file(GLOB cb_units CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/scripts/systemd/*.service"
     "${CMAKE_SOURCE_DIR}/scripts/systemd/*.socket")
if(cb_units)
  install(FILES ${cb_units} DESTINATION lib/systemd/system)
endif()
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
file(GLOB cb_vip_scripts CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/scripts/vip-*")
install(PROGRAMS ${cb_vip_scripts} DESTINATION lib/crossbeat)
