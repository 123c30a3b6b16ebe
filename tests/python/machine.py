#!/usr/bin/env python3
"""A machine that says of itself what it is told to: its ROM asks by DHCP, its iPXE by HTTP.

machine.py MAC GUID [QUERY [answer]]
GUID is text as SMBIOS tools print it, or `-`. Prints one line of JSON: the address and boot file that it was offered; with a
QUERY (what is asked of boot.ipxe beside mac and uuid) it takes the address and adds the script it was given; with `answer` also the answer
file that the script names.
"""
import json, os, socket, struct, subprocess, sys, time, urllib.parse, uuid

INTERFACE, SERVER = "eth0", "10.77.0.1"
DEADLINE = 40

mac_text, guid_text = sys.argv[1], sys.argv[2]
query = sys.argv[3] if len(sys.argv) > 3 else None
mac = bytes.fromhex(mac_text.replace(":", ""))
guid = None if guid_text == "-" else uuid.UUID(guid_text).bytes_le
xid = os.urandom(4)

# Its own card, and nobody's address: who answers is looked up by both.
for words in (["address", "flush", "dev", INTERFACE], ["link", "set", "dev", INTERFACE, "address", mac_text]):
    subprocess.run(["ip", *words], check=True)

raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
raw.bind((INTERFACE, 0))
raw.settimeout(0.5)


def sum16(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def send(options):
    head = struct.pack(">BBBB4sHH4s4s4s4s", 1, 1, 6, 0, xid, 0, 0x8000, b"", b"", b"", b"")
    dhcp = head + mac + bytes(10 + 64 + 128) + b"\x63\x82\x53\x63"
    for code, value in options:
        dhcp += bytes([code, len(value)]) + value
    dhcp += b"\xff"
    dhcp += bytes(max(0, 300 - len(dhcp)))
    udp = struct.pack(">HHHH", 68, 67, 8 + len(dhcp), 0) + dhcp
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    ip = ip[:10] + struct.pack(">H", sum16(ip)) + ip[12:]
    raw.send(b"\xff" * 6 + mac + b"\x08\x00" + ip + udp)


def answer(kind):
    """What came for us of this kind: address and options; None when nothing did for a while."""
    until = time.monotonic() + 2
    while time.monotonic() < until:
        try:
            frame = raw.recv(2048)
        except TimeoutError:
            continue
        at = 14 + (frame[14] & 15) * 4 + 8
        if frame[23] != 17 or frame[at - 6 : at - 4] != b"\x00\x44" or frame[at + 4 : at + 8] != xid:
            continue
        options, place = {}, at + 240
        while place < len(frame) and frame[place] != 255:
            if frame[place] == 0:
                place += 1
                continue
            length = frame[place + 1]
            options[frame[place]] = frame[place + 2 : place + 2 + length]
            place += 2 + length
        if options.get(53) == bytes([kind]):
            file = frame[at + 108 : at + 236].rstrip(b"\0") or options.get(67, b"").rstrip(b"\0")
            return ".".join(str(byte) for byte in frame[at + 16 : at + 20]), file.decode(), options
    return None


def asked(kind, options, reply):
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        send([(53, bytes([kind]))] + options)
        if (got := answer(reply)) is not None:
            return got
    sys.exit(f"no answer to a DHCP message of type {kind}")


said = [(55, bytes([1, 3, 54, 60, 66, 67, 97])), (60, b"PXEClient:Arch:00000:UNDI:002001"), (93, b"\0\0"), (94, b"\1\2\1")]
if guid:
    said.append((97, b"\0" + guid))
address, file, options = asked(1, said, 2)
told = {"address": address, "file": file}
if query is not None:
    asked(3, said + [(50, socket.inet_aton(address)), (54, options[54])], 5)
    subprocess.run(["ip", "address", "replace", f"{address}/24", "dev", INTERFACE], check=True)
    asks = f"mac={urllib.parse.quote(mac_text)}" + (f"&uuid={guid_text}" if guid else "") + f"&{query}"
    url = f"http://{SERVER}:8080/boot.ipxe?{asks}"
    curl = ["curl", "-sS", "--max-time", "30", "--interface", address, url]
    told["script"] = subprocess.run(curl, check=True, capture_output=True, text=True).stdout
    if "answer" in sys.argv[4:]:
        words = [word for word in told["script"].split() if "/answer/" in word]
        answer_url = words[0].split("=", 1)[-1] if words else ""
        curl[-1] = answer_url
        told["answer"] = subprocess.run(curl, check=True, capture_output=True, text=True).stdout
print(json.dumps(told))
