#!/usr/bin/env python3
"""A receiver of webhooks: checks the signature, then prints the event. receiver.py KEY_FILE PORT"""

import hashlib
import hmac
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

AGE_MAX = 300  # seconds between our clock and the appliance's


def is_ours(key, headers, body, now=None):
    """Whether the appliance sent this, and did so just now."""
    stamp = headers.get("Reveille-Timestamp", "")
    signature = headers.get("Reveille-Signature", "")
    if not stamp.isascii() or not stamp.isdigit():
        return False
    if abs((time.time() if now is None else now) - int(stamp)) > AGE_MAX:
        return False
    made = hmac.new(key, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest("v1=" + made, signature)


class Receiver(BaseHTTPRequestHandler):
    key = b""
    seen = {}

    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 1 << 20))
        if not is_ours(self.key, self.headers, body):
            self.send_error(401)
            return
        delivery = self.headers.get("Reveille-Delivery")
        # A delivery that was answered too late comes again.
        if delivery not in self.seen:
            self.seen[delivery] = True
            print(json.dumps(json.loads(body)), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        Receiver.key = file.read().rstrip(b"\r\n")
    HTTPServer(("127.0.0.1", int(sys.argv[2])), Receiver).serve_forever()
