"""Run pymap with an empty mailbox on a port that the system chooses, and print the port."""

import asyncio
import sys
from argparse import Namespace

from proxyprotocol.noop import ProxyProtocolNoop
from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.dict import DictBackend
from pymap.imap import IMAPServer


async def main(certificate: str, key: str) -> None:
    args = Namespace(
        host="127.0.0.1",
        port=0,
        debug=False,
        cert=certificate,
        key=key,
        tls=True,
        proxy_protocol=None,
        inherited_sockets=None,
        demo_data=False,
        demo_user="ada",
        demo_password="secret",
        passlib_cfg=None,
    )
    backend, config = await DictBackend.init(args)
    config.apply_context()
    serve = ProxyProtocolReader(ProxyProtocolNoop()).get_callback(IMAPServer(backend.login, config))
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
