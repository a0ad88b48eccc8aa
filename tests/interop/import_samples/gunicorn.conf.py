"""The shop, behind nginx."""

import os

own_count = 3

bind = "0.0.0.0"
workers = own_count
threads = 4
worker_class = "gthread"
worker_tmp_dir = "/dev/shm"
timeout = 60
keepalive = 5
wsgi_app = "shop.wsgi:application"
raw_env = ["DJANGO_SETTINGS_MODULE=shop.settings", "SECRET_KEY=not-for-the-report"]
accesslog = "-"
loglevel = os.environ.get("LOG_LEVEL", "warning")
umask = 0o007
daemon = False
certfile = "/etc/ssl/shop.pem"
prelaod_app = True


def post_fork(server, worker):
    server.log.info("forked %s", worker.pid)
