"""Starts bjoern or FastWSGI, which have no command line with workers: `start_peer.py NAME MODULE PORT WORKERS`."""

import importlib
import os
import sys

name, module, port, workers = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
application = importlib.import_module(module).application

if name == "bjoern":
    import bjoern

    bjoern.listen(application, "127.0.0.1", port)
    for _ in range(workers - 1):
        if not os.fork():
            break
    bjoern.run()
else:
    import fastwsgi

    fastwsgi.run(application, "127.0.0.1", port, fastwsgi.LL_ERROR, workers)
