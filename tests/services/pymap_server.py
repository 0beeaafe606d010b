"""Run pymap with an empty mailbox on a port that the system chooses, and print the port."""

import asyncio
import sys
from argparse import Namespace

from proxyprotocol.noop import ProxyProtocolNoop
from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.dict import DictBackend
from pymap.imap import IMAPServer
from pysasl.hashing import BuiltinHash


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
    # 500,000 rounds at each sign-in, the default, would be most of what the tests do.
    backend, config = await DictBackend.init(args, hash_context=BuiltinHash(rounds=1))
    config.apply_context()
    serve = ProxyProtocolReader(ProxyProtocolNoop()).get_callback(IMAPServer(backend.login, config))
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
