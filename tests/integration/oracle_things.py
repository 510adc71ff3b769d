"""
What there is on either side of the comparison with polkit: of each class web-1, which people are granted, and hid-1. As a program
(oracle_things.py URI) it defines all of it there, then restores what it reads lines of (CLASS NAME).
"""
import struct
import sys

GRANTED, HIDDEN = "web-1", "hid-1"      # as long as one another: a body about the one becomes one about the other
GROUPS = ["domain", "network", "storage_pool", "storage_vol", "nwfilter", "secret", "network_port", "nwfilter_binding"]
PLACE = "/var/lib/libvirt"              # each libvirtd has its own there
INTERFACE, INTERFACE_MAC, DEVICE = "lo", "00:00:00:00:00:00", "computer"    # every host has these

DOCUMENTS = {
    # Without its disk it does not start, and says so before QEMU is asked.
    "domain": "<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory>32768</memory><vcpu>1</vcpu>"
              "<os><type arch='x86_64' machine='pc'>hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>"
              "<disk type='file' device='disk'><source file='/var/lib/libvirt/nothing'/><target dev='hda'/></disk></devices></domain>",
    # Active without anything on the host.
    "network": "<network><name>{name}</name><uuid>{uuid}</uuid><forward mode='bridge'/><bridge name='v{name}'/></network>",
    "network_port": "<networkport><uuid>{uuid}</uuid><owner><name>{name}</name><uuid>{domain}</uuid></owner>"
                    "<mac address='52:54:00:00:00:07'/></networkport>",
    "storage_pool": "<pool type='dir'><name>{name}</name><uuid>{uuid}</uuid><target><path>/var/lib/libvirt/{name}</path></target></pool>",
    "storage_vol": "<volume><name>{name}</name><capacity>65536</capacity></volume>",
    "nwfilter": "<filter name='{name}'><uuid>{uuid}</uuid></filter>",
    "nwfilter_binding": "<filterbinding><owner><name>{name}</name><uuid>{domain}</uuid></owner><portdev name='{name}'/>"
                        "<mac address='52:54:00:00:00:07'/><filterref filter='web-1'/></filterbinding>",
    "secret": "<secret private='no'><uuid>{uuid}</uuid><usage type='volume'><volume>{name}</volume></usage></secret>",
}


def uuid_of(group, name):
    return f"{GROUPS.index(group) + 1:02x}3e3e3e-3e3e-4e3e-8e3e-3e3e3e3e3e{(GRANTED, HIDDEN).index(name):02x}"


def uuid_bytes(group, name):
    return bytes.fromhex(uuid_of(group, name).replace("-", ""))


def document(group, name):
    return DOCUMENTS[group].format(name=name, uuid=uuid_of(group, name), domain=uuid_of("domain", name))


def saved_image(name):
    """What virsh save writes, without the memory of the guest: enough to be asked about."""
    xml = document("domain", name).encode() + b"\0"
    return b"LibvirtQemudSave" + struct.pack("=19I", 2, len(xml), 0, 0, 0, *[0] * 14) + xml


def groups_after(call):
    """What may be different after that call: classes to be restored, in order."""
    for prefix, groups in (("domain", ["domain"]), ("network", ["network", "network_port"]), ("storage", ["storage_pool", "storage_vol"]),
                           ("nwfilter_binding", ["nwfilter_binding"]), ("nwfilter", ["nwfilter"]), ("secret", ["secret"])):
        if call.name.startswith(prefix):
            return groups
    return []


# ---- the program ----


def quiet(function, *arguments):
    """Its value; None when libvirt refuses."""
    import libvirt      # only the program has it
    try:
        return function(*arguments)
    except libvirt.libvirtError:
        return None


class Things:
    def __init__(self, connection):
        self.connection = connection

    def domain(self, name):
        import libvirt
        c = self.connection
        old = quiet(c.lookupByName, name)
        if old is not None:
            for snapshot in old.listAllSnapshots():
                quiet(snapshot.delete, libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
            quiet(old.destroy)
        domain = quiet(c.defineXML, document("domain", name))
        if domain is None:
            quiet(old.undefineFlags, libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                  libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)
            domain = c.defineXML(document("domain", name))
        quiet(domain.setAutostart, 0)
        domain.snapshotCreateXML(f"<domainsnapshot><name>{name}</name><state>shutoff</state><creationTime>1</creationTime>"
                                 f"{domain.XMLDesc()}</domainsnapshot>", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE)

    def network(self, name):
        network = self.connection.networkDefineXML(document("network", name))
        quiet(network.setAutostart, 0)
        quiet(network.create)

    def network_port(self, name):
        network = self.connection.networkLookupByName(name)
        for port in network.listAllPorts():
            if port.UUIDString() != uuid_of("network_port", name):
                port.delete()
        if quiet(network.portLookupByUUIDString, uuid_of("network_port", name)) is None:
            network.portCreateXML(document("network_port", name))

    def storage_pool(self, name):
        pool = quiet(self.connection.storagePoolLookupByName, name)
        if pool is None or not pool.isPersistent():
            pool = self.connection.storagePoolDefineXML(document("storage_pool", name))
        quiet(pool.setAutostart, 0)
        quiet(pool.build)
        quiet(pool.create)
        pool.refresh()

    def storage_vol(self, name):
        pool = self.connection.storagePoolLookupByName(name)
        for volume in pool.listAllVolumes():
            if volume.name() != name:
                volume.delete()
        if quiet(pool.storageVolLookupByName, name) is None:
            pool.createXML(document("storage_vol", name))

    def nwfilter(self, name):
        self.connection.nwfilterDefineXML(document("nwfilter", name))

    def nwfilter_binding(self, name):
        if quiet(self.connection.nwfilterBindingLookupByPortDev, name) is None:
            self.connection.nwfilterBindingCreateXML(document("nwfilter_binding", name))

    def secret(self, name):
        self.connection.secretDefineXML(document("secret", name)).setValue(b"value")

    def restore(self, group, name):
        getattr(self, group)(name)


def main():
    import libvirt
    libvirt.registerErrorHandler(lambda _, error: None, None)
    things = Things(libvirt.open(sys.argv[1]))
    for group in GROUPS:
        things.restore(group, GRANTED)
        things.restore(group, HIDDEN)
    print("ready", flush=True)
    for line in sys.stdin:
        things.restore(*line.split())
        print("ready", flush=True)


if __name__ == "__main__":
    main()
