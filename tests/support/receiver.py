"""A GNSS receiver on a TCP port: `receiver.py PORT LATE`.

Tells the host's time in sentences of NMEA 0183, which it begins to send LATE seconds after the second
that they are of. For whoever connects, one at a time, again and again.
"""
import math
import socket
import sys
import time

POSITION = "4807.038000,N,01131.000000,E"


def sentence(body):
    check = 0
    for octet in body.encode():
        check ^= octet
    return "$%s*%02X\r\n" % (body, check)


def sentences(second):
    """Where it is (nowhere in particular), by how many satellites, and when."""
    date = time.gmtime(second)
    clock, day = time.strftime("%H%M%S.00", date), time.strftime("%d%m%y", date)
    return (
        sentence("GPGGA,%s,%s,1,08,0.9,545.4,M,46.9,M,," % (clock, POSITION))
        + sentence("GPGSA,A,3,04,05,,09,12,,,24,,,,,2.5,1.3,2.1")
        + sentence("GPRMC,%s,A,%s,000.0,000.0,%s,,,A" % (clock, POSITION, day))
    )


def tell(connection, late):
    while True:
        now = time.time()
        second = math.ceil(now - late)
        time.sleep(second + late - now)
        connection.sendall(sentences(second).encode())


def main(port, late):
    server = socket.create_server(("127.0.0.1", port))
    print("ready", flush=True)
    while True:
        connection, _ = server.accept()
        with connection:
            try:
                tell(connection, late)
            except OSError:
                pass  # It is gone.


main(int(sys.argv[1]), float(sys.argv[2]))
