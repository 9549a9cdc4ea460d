#!/usr/bin/env python3
"""Receives outgoing webhooks and shows what is signed well: WEBHOOK_SECRET=whsec_... python3 webhook-receiver.py [port]

Cogwheel sends to this machine only when it may: COGWHEEL_WEBHOOKS__ALLOWED_NETWORKS=127.0.0.1 cogwheel serve
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
TOLERANCE_SECONDS = 300

# What was dealt with. A real receiver keeps the ids where it keeps what it made of the messages.
seen = set()


def is_signed(headers, body):
    """Whether one of the signatures fits, and the message is of now."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(one, f"v1,{expected}") for one in given)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if not is_signed(self.headers, body):
            self.send_error(401)
            return
        message = json.loads(body)
        again = "again: " if message["id"] in seen else ""
        seen.add(message["id"])
        print(f"{again}{message['type']} {message['subject']}: {json.dumps(message['data'])}", flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8421
    print(f"listening on http://127.0.0.1:{port}/", flush=True)
    HTTPServer(("127.0.0.1", port), Receiver).serve_forever()
