"""A certificate authority for one run of the tests."""

import ssl

import trustme


class Authority:
    """Signs the receiver's certificate. Its own certificate goes to `--ca-file`."""

    def __init__(self, folder):
        self._made = trustme.CA()
        self.file = folder / "ca.pem"
        self._made.cert_pem.write_to_path(self.file)

    def server_context(self, hosts):
        """The TLS side of a server that answers for these host names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._made.issue_cert(*hosts).configure_cert(context)
        return context
