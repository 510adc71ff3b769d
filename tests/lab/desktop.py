"""A desktop that nobody sees: an X server of the test's own, and viewers on it that are looked at and typed into."""
import os
import shutil
import struct
import subprocess
import zlib

from .process import LabError, clean_environment, die_with_parent, run


def have(*programs):
    """Are they here, and may we make namespaces for them?"""
    return os.geteuid() == 0 and all(shutil.which(program) for program in ("Xvfb", "xdotool", "unshare", *programs))


class Picture:
    """Pixels as rows of three bytes each."""

    def __init__(self, width, height, rows):
        self.width, self.height, self.rows = width, height, rows

    @classmethod
    def of_image(cls, data):
        """What virDomainScreenshot gives: PNG or P6, eight bits a colour."""
        return cls._of_png(data) if data.startswith(b"\x89PNG") else cls._of_ppm(data)

    @classmethod
    def _of_png(cls, data):
        """Colours in three bytes, not interlaced: what QEMU writes (PNG specification, 9: filters)."""
        at, packed, head = 8, b"", None
        while at < len(data):
            length, kind = struct.unpack("!I4s", data[at:at + 8])
            if kind == b"IHDR":
                head = struct.unpack("!IIBBBBB", data[at + 8:at + 8 + length])
            elif kind == b"IDAT":
                packed += data[at + 8:at + 8 + length]
            at += 12 + length
        width, height, depth, colour, _, _, interlaced = head
        if (depth, colour, interlaced) != (8, 2, 0):
            raise LabError(f"a PNG of another kind: {head}")
        lines, rows, above = zlib.decompress(packed), [], bytes(3 * width)
        for y in range(height):
            kind, line = lines[y * (3 * width + 1)], bytearray(lines[y * (3 * width + 1) + 1:(y + 1) * (3 * width + 1)])
            for x in range(3 * width if kind else 0):
                left, over, corner = (line[x - 3], above[x], above[x - 3]) if x >= 3 else (0, above[x], 0)
                guess = left + over - corner
                nearest = min((abs(guess - left), 0, left), (abs(guess - over), 1, over), (abs(guess - corner), 2, corner))[2]
                line[x] = (line[x] + (0, left, over, (left + over) // 2, nearest)[kind]) & 255
            above = bytes(line)
            rows.append(above)
        return cls(width, height, rows)

    @classmethod
    def _of_ppm(cls, data):
        magic, size, most, rest = data.split(b"\n", 3)
        if magic != b"P6" or most != b"255":
            raise LabError(f"no P6 picture: {data[:20]!r}")
        width, height = map(int, size.split())
        return cls(width, height, [rest[3 * width * y:3 * width * (y + 1)] for y in range(height)])

    @classmethod
    def of_xwd(cls, data):
        """The X11 window dump that Xvfb keeps in a file (XWDFile.h): header, colours, then 32 bits a pixel, blue first."""
        head = struct.unpack("!25I", data[:100])
        size, width, height, bits, stride, colours = head[0], head[4], head[5], head[11], head[12], head[19]
        if bits != 32:
            raise LabError(f"{bits} bits a pixel")
        start = size + 12 * colours
        rows = []
        for y in range(height):
            line = data[start + y * stride:start + y * stride + 4 * width]
            row = bytearray(3 * width)
            row[0::3], row[1::3], row[2::3] = line[2::4], line[1::4], line[0::4]
            rows.append(bytes(row))
        return cls(width, height, rows)

    def colours(self):
        return len({row[x:x + 3] for row in self.rows for x in range(0, 3 * self.width, 3)})

    def find(self, other):
        """Where `other` stands in here, pixel for pixel: (x, y), or None."""
        # The row that says most is looked for first.
        best = max(range(other.height), key=lambda y: len(set(other.rows[y][x:x + 12] for x in range(0, 3 * other.width, 12))))
        for y in range(best, self.height - (other.height - best) + 1):
            x = self.rows[y].find(other.rows[best])
            while x >= 0:
                if x % 3 == 0 and all(self.rows[y - best + line][x:x + 3 * other.width] == other.rows[line] for line in range(other.height)):
                    return x // 3, y - best
                x = self.rows[y].find(other.rows[best], x + 1)
        return None

    def save(self, path):
        """As PNG."""
        def chunk(kind, data):
            return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack("!IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)) +
                       chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in self.rows))) + chunk(b"IEND", b""))


class Desktop:
    """
    with Desktop(directory) as desktop:
        desktop.start(["gvncviewer", "localhost:1"], home=HOME)
    """

    def __init__(self, directory, size="1280x1024"):
        os.makedirs(directory, exist_ok=True)
        self.dir = directory
        read, write = os.pipe()
        self.server = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-fbdir", directory, "-nolisten", "tcp",
                                        "-noreset"], pass_fds=[write], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        os.close(write)
        with os.fdopen(read, "rb") as file:
            number = file.readline().strip().decode()
        if not number:
            raise LabError("Xvfb did not start")
        self.display = f":{number}"
        self.programs = []
        self.xdotool("mousemove", "1279", "1023")     # the pointer is part of the picture

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in self.programs:
            try:
                os.killpg(program.pid, 9)     # children of graphical programs outlive them
            except ProcessLookupError:
                pass
            program.wait()
        self.server.terminate()
        self.server.wait()

    def environment(self, home):
        return clean_environment(HOME=home, XDG_RUNTIME_DIR=home, DISPLAY=self.display, NO_AT_BRIDGE="1", GTK_A11Y="none", GDK_BACKEND="x11",
                                 LIBGL_ALWAYS_SOFTWARE="1", GSETTINGS_BACKEND="memory")

    def start(self, command, home, log, hosts="", everybodys=False):
        """
        In a mount namespace where /root is `home`, which gtk-vnc's programs take from the user database, /etc/pki is empty (`everybodys`: is
        what is in `home`/.pki, as libvirt's client looks nowhere else for root), and /etc/hosts names `hosts` beside localhost.
        """
        os.makedirs(home, exist_ok=True)
        with open(f"{home}/hosts", "w", encoding="ascii") as file:
            file.write(f"127.0.0.1 localhost {hosts}\n")
        pki = 'mount --bind "$1/.pki" /etc/pki' if everybodys else "mount -t tmpfs none /etc/pki"
        script = f"mkdir -p /etc/pki; {pki}; mount --bind \"$1/hosts\" /etc/hosts; mount --bind \"$1\" /root; shift; exec \"$@\""
        with open(log, "wb") as output:
            program = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-ec", script, "sh", home, *command],
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                                       env=self.environment("/root"))
        self.programs.append(program)
        return program

    def picture(self):
        with open(f"{self.dir}/Xvfb_screen0", "rb") as file:
            return Picture.of_xwd(file.read())

    def xdotool(self, *words, check=True):
        return run(["xdotool", *words], check=check, environment=self.environment("/"))

    def click(self, x, y):
        """Also gives the window the keyboard, which a window manager would do."""
        self.xdotool("mousemove", str(x), str(y), "click", "1")
        window = self.xdotool("getmouselocation", "--shell").stdout.split("WINDOW=")[1].split()[0]
        self.xdotool("windowfocus", window, check=False)
