"""nginx with sendfile: the fastest way known to send a file."""

import pathlib

from .. import places, tools
from ..processes import Process, free_port

_CONFIGURATION = """
worker_processes {workers};
daemon off;
master_process on;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    default_type application/octet-stream;
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


class Nginx:
    def __init__(self, program: str, root: pathlib.Path, workers: int):
        self.port = free_port()
        folder = places.scratch("nginx")
        import os
        user = "user root;" if os.geteuid() == 0 else ""
        configuration = folder / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(folder=folder, port=self.port, root=root, workers=workers, user=user))
        command = [program, "-c", str(configuration), "-e", str(folder / "error.log")]
        self.process = Process("nginx", command, folder / "log.txt")
        self.process.wait_for_port(self.port)


def start(root: pathlib.Path, workers: int) -> Nginx | None:
    """Serving the files in `root`, if it can be had."""
    program = tools.nginx()
    return Nginx(program, root, workers) if program else None
