"""
What the gateway reads in a definition, and what libvirt's test driver says after it was defined: the same, however it is written.
`make admission-differential DOCUMENTS=10000` takes more of them; VIRTGATE_SEED others.
"""
import contextlib
import json
import os
import random
import re
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from lab.gateway import find_build

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NUMBER = int(os.environ.get("VIRTGATE_DOCUMENTS", "120"))
BATCH = 1000            # as many as one test has time for
UUID = "5a5a5a5a-1111-4222-8333-444444444444"
SECRET = "3e3e3e3e-3e3e-3e3e-3e3e-3e3e3e3e3e3e"

HEAD = ("<name>web-1</name>", f"<uuid>{UUID}</uuid>", "<memory unit='MiB'>64</memory>", "<vcpu>1</vcpu>", "<os><type>hvm</type></os>")
DEVICES = (
    "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/p/a.img'/><target dev='vd{0}' bus='virtio'/></disk>",
    "<disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='/p/b'/><target dev='vd{0}' bus='virtio'/></disk>",
    "<disk type='volume' device='disk'><driver name='qemu' type='raw'/><source pool='tenant' volume='c.img'/><target dev='vd{0}' bus='virtio'/></disk>",
    "<disk type='file' device='cdrom'><source file='/p/d.iso'/><target dev='sd{0}' bus='sata'/><readonly/></disk>",
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/p/e.qcow2'/><backingStore type='file'><format type='raw'/>"
    "<source file='/p/f.img'/></backingStore><target dev='vd{0}' bus='virtio'/></disk>",
    f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/p/g.img'><encryption format='luks'>"
    f"<secret type='passphrase' uuid='{SECRET}'/></encryption></source><target dev='vd{{0}}' bus='virtio'/></disk>",
    "<interface type='network'><mac address='52:54:00:00:00:1{0}'/><source network='default'/><filterref filter='clean-traffic'/></interface>",
    "<interface type='network'><source network='other'/><model type='virtio'/></interface>",
)


def base(chance):
    devices = [device.format("abcdef"[i]) for i, device in enumerate(chance.sample(DEVICES, chance.randint(1, 4)))]
    return "<domain type='test'>" + "".join(HEAD) + "<devices>" + "".join(devices) + "</devices></domain>"


# ---- other ways to write it, and other documents ----

class NothingThere(Exception):
    """An earlier mutation left nothing that this one could change."""


def pick(chance, pattern, xml):
    found = list(re.finditer(pattern, xml))
    if not found:
        raise NothingThere
    return chance.choice(found)


def put(xml, at, text):
    return xml[:at] + text + xml[at:]


def comment(chance, xml):
    at = pick(chance, "<", xml)
    return put(xml, at.start(), "<!-- <name>evil</name> <source file='/evil'/> -->") if at.start() > 0 else xml


def instruction(chance, xml):
    at = pick(chance, ">", xml)
    return put(xml, at.end(), "<?evil file='/evil'?>") if at.end() < len(xml) else xml


def cdata(chance, xml):
    at = pick(chance, r">([^<>]+)<", xml)
    return xml[:at.start(1)] + "<![CDATA[" + at.group(1) + "]]>" + xml[at.end(1):]


def reference(chance, xml):
    at = pick(chance, r"='([^']+)'", xml)
    place = chance.randrange(at.start(1), at.end(1))
    if xml[place] in "&;#" or "&" in at.group(1):
        return xml
    return xml[:place] + chance.choice(("&#{};", "&#x{:x};", "&#0{};")).format(ord(xml[place])) + xml[place + 1:]


def blanks(chance, xml):
    at = pick(chance, r"<\w+|='[^']*'", xml)
    return put(xml, at.end(), chance.choice((" ", "\n", "\t", "\r\n")))


def padding(chance, xml):
    at = pick(chance, r">([^<>]+)<|='([^']+)'", xml)
    place = chance.choice((at.start() + (1 if at.group(1) else 2), at.end() - 1))
    return put(xml, place, chance.choice((" ", "\n", "&#10;", "/", "//", "/../", "./")))


def double_element(chance, xml):
    at = pick(chance, r"<(?:source|filterref|mac|name|uuid|target|driver|secret|format)\b[^>]*/?>(?:[^<]*</\w+>)?", xml)
    return put(xml, chance.choice((at.start(), at.end())), at.group().replace("/p/", "/other/").replace("default", "hidden").replace("web-1", "db-1"))


def double_attribute(chance, xml):
    at = pick(chance, r" (file|dev|pool|volume|network|filter)='[^']*'", xml)
    return put(xml, at.end(), f" {chance.choice(('file', 'dev', 'pool', 'volume', 'network', at.group(1)))}='/evil'")


def capitals(chance, xml):
    at = pick(chance, r"</?\w+|\b\w+=", xml)
    return xml[:at.start()] + at.group().upper() + xml[at.end():]


def other_type(chance, xml):
    at = pick(chance, r"type='(file|block|volume|network)'", xml)
    return xml[:at.start()] + f"type='{chance.choice(('file', 'block', 'volume', 'dir', 'network', 'user', 'bridge'))}'" + xml[at.end():]


def namespace(chance, xml):
    at = pick(chance, r"<(source|name|disk)\b", xml)
    return xml[:at.start()] + "<x:" + at.group(1) + " xmlns:x='urn:x'" + xml[at.end():]


def metadata(chance, xml):
    return xml.replace("<devices>", "<metadata><a:disk xmlns:a='urn:a'><a:source file='/evil'/></a:disk></metadata><devices>", 1)


def nested(chance, xml):
    at = pick(chance, r"<(disk|interface)\b[^>]*>", xml)
    return put(xml, at.end(), chance.choice(("<devices>", "<x>")) + "<source file='/evil' network='evil'/>" + chance.choice(("</devices>", "</x>")))


def quotes(chance, xml):
    at = pick(chance, r"='([^']*)'", xml)
    return xml[:at.start()] + '="' + at.group(1) + '"' + xml[at.end():]


MUTATIONS = (comment, instruction, cdata, reference, blanks, padding, double_element, double_attribute, capitals, other_type, namespace, metadata, nested,
             quotes)


# ---- what each of the two reads ----

def plain(uuid):
    return re.sub(r"[\s-]", "", uuid).lower()


def by_libvirt(connection, xml):
    """What the domain is called and uses once it is defined; None: libvirt does not take it."""
    import libvirt
    try:
        domain = connection.defineXML(xml)
    except libvirt.libvirtError:
        return None
    try:
        text = domain.XMLDesc(0)
        name = domain.name()
    finally:
        domain.undefine()
    # Other software's data, of which libvirt loses namespaces.
    root, uses = ElementTree.fromstring(re.sub(r"<metadata>.*</metadata>", "", text, flags=re.S)), set()
    for source in root.iterfind("devices/disk//source"):
        uses |= {("image", "", source.get(key)) for key in ("file", "dev") if source.get(key)}
        if source.get("pool"):
            uses.add(("storage_vol", source.get("pool"), source.get("volume")))
    for interface in root.iterfind("devices/interface"):
        uses |= {("network", "", source.get("network")) for source in interface.iterfind("source") if source.get("network")}
        uses |= {("nwfilter", "", reference.get("filter")) for reference in interface.iterfind("filterref")}
    uses |= {("secret", "", plain(secret.get("uuid"))) for secret in root.iterfind(".//secret") if secret.get("uuid")}
    return name, uses


def by_gateway(scratch, xml):
    """The same as the gateway reads it; None: it refuses the document."""
    done = subprocess.run([os.path.join(find_build(TOP), "virtgate"), "admission", "check", "--json", scratch.write("differential.xml", xml)],
                          capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1, 2), done.stderr
    if done.returncode == 2:
        return None
    told = json.loads(done.stdout)
    if told["findings"]:
        return None
    uses = {(use["kind"], use.get("parent", ""), plain(use["name"]) if use["kind"] == "secret" else use["name"]) for use in told["uses"]}
    return told.get("name"), uses


@pytest.mark.parametrize("first", range(0, NUMBER, BATCH))
def test_I35_I36_both_read_the_same(scratch, first):
    libvirt = pytest.importorskip("libvirt")
    libvirt.registerErrorHandler(lambda *_: None, None)
    connection = libvirt.open("test:///default")
    seed = int(os.environ.get("VIRTGATE_SEED", "1"))
    chance, both, refused = random.Random(f"{seed} {first}"), 0, 0
    numbers = range(first, min(first + BATCH, NUMBER))
    for number in numbers:
        xml = base(chance)
        for _ in range(chance.randint(0, 3)):
            with contextlib.suppress(NothingThere):
                xml = chance.choice(MUTATIONS)(chance, xml)
        gateway = by_gateway(scratch, xml)
        if gateway is None:
            refused += 1
            continue
        libvirts = by_libvirt(connection, xml)
        if libvirts is None:
            continue
        both += 1
        where = f"document {number} of seed {seed}:\n{xml}\n"
        assert gateway[0] == libvirts[0], where
        # The gateway looks at every place where libvirt could: it may see more, never less.
        assert libvirts[1] <= gateway[1], f"{where}not seen: {libvirts[1] - gateway[1]}"
    connection.close()
    print(f"{len(numbers)} documents: {both} defined and read alike, {refused} refused by the gateway, the rest by libvirt")
    assert both > len(numbers) // 5
