"""A SASL client by cyrus-sasl's own library, with its security layer: for tests that must say each byte themselves."""
import ctypes
import ctypes.util

from .process import LabError

SASL_OK, SASL_CONTINUE, SASL_SUCCESS_DATA, SASL_SSF, SASL_SEC_PROPS = 0, 1, 4, 1, 101


class Properties(ctypes.Structure):
    """sasl_security_properties_t, sasl/sasl.h."""
    _fields_ = [("min_ssf", ctypes.c_uint), ("max_ssf", ctypes.c_uint), ("maxbufsize", ctypes.c_uint), ("flags", ctypes.c_uint),
                ("names", ctypes.c_void_p), ("values", ctypes.c_void_p)]


class SaslClient:
    """
    client = SaslClient("vnc", "localhost"); mechanism, data = client.start("GSSAPI"); data = client.step(answer); client.encode(b"...")
    Tickets are found by KRB5CCNAME and KRB5_CONFIG, as every program does.
    """
    library = None

    def __init__(self, service, host, most=256):
        if SaslClient.library is None:
            SaslClient.library = ctypes.CDLL(ctypes.util.find_library("sasl2") or "libsasl2.so.2")
            self._need(self.library.sasl_client_init(None))
        self.connection = ctypes.c_void_p()
        self._need(self.library.sasl_client_new(service.encode(), host.encode(), None, None, None, SASL_SUCCESS_DATA,
                                                ctypes.byref(self.connection)))
        properties = Properties(0, most, 65536, 0, None, None)
        self._need(self.library.sasl_setprop(self.connection, SASL_SEC_PROPS, ctypes.byref(properties)))
        self.done = False

    def _need(self, code):
        if code not in (SASL_OK, SASL_CONTINUE):
            self.library.sasl_errdetail.restype = ctypes.c_char_p
            detail = self.library.sasl_errdetail(self.connection) if getattr(self, "connection", None) else None
            raise LabError(f"SASL: {code} {detail}")
        return code

    def _output(self, function, *arguments):
        data, length = ctypes.c_void_p(), ctypes.c_uint()
        code = self._need(function(self.connection, *arguments, ctypes.byref(data), ctypes.byref(length)))
        self.done = code == SASL_OK
        return ctypes.string_at(data, length.value) if data.value else None

    def start(self, mechanisms):
        chosen, data, length = ctypes.c_char_p(), ctypes.c_void_p(), ctypes.c_uint()
        self._need(self.library.sasl_client_start(self.connection, mechanisms.encode(), None, ctypes.byref(data), ctypes.byref(length),
                                                  ctypes.byref(chosen)))
        return chosen.value.decode(), ctypes.string_at(data, length.value) if data.value else None

    def step(self, answer):
        return self._output(self.library.sasl_client_step, answer, len(answer), None)

    def strength(self):
        value = ctypes.c_void_p()
        self._need(self.library.sasl_getprop(self.connection, SASL_SSF, ctypes.byref(value)))
        return ctypes.cast(value, ctypes.POINTER(ctypes.c_uint))[0]

    def encode(self, data):
        return self._output(self.library.sasl_encode, data, len(data))

    def decode(self, data):
        return self._output(self.library.sasl_decode, data, len(data)) or b""

    def close(self):
        self.library.sasl_dispose(ctypes.byref(self.connection))


class LayeredSocket:
    """What a viewer reads and writes once the layer is there: the socket's methods that lab.vnc uses."""

    def __init__(self, plain, client):
        self.plain, self.client, self.decoded = plain, client, b""

    def sendall(self, data):
        self.plain.sendall(self.client.encode(data))

    def recv(self, count):
        while not self.decoded:
            piece = self.plain.recv(65536)
            if not piece:
                return b""
            self.decoded = self.client.decode(piece)
        piece, self.decoded = self.decoded[:count], self.decoded[count:]
        return piece

    def close(self):
        self.plain.close()
