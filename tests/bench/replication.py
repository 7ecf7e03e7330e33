# SPDX-License-Identifier: Apache-2.0
"""What replication costs: the stream between the nodes."""

import replication_stream


def run(setup):
    rows, notes, details = replication_stream.measure(setup)
    return rows, notes, {"stream": details}
