"""Real peers of the gateway, private to one run: libvirtd, a guest, a PKI, SASL users, a KDC, and virtgated itself.

Everything lives below one scratch directory and ends with it; nothing of the machine's own libvirt is touched.
"""
