"""Draws each encrypted device, from the disk that it is on to what is mounted from it."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.formats import BlockDevice, Branch, human_size, tree

from .facts import Facts, Header, Mapping


def draw(facts: Facts) -> str:
    return tree(tuple(_Drawing(facts).roots()))


class _Drawing:
    """Disks that have something encrypted; then headers on no disk, such as those in a file."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._headers = {header.device: header for header in facts.headers}
        self._mappings = {f"/dev/mapper/{mapping.name}": mapping for mapping in facts.mappings}
        self._drawn: set[str] = set()

    def roots(self) -> Iterator[Branch]:
        for disk in self._facts.disks:
            if any(block.path in self._headers or block.path in self._mappings for block in disk.family()):
                yield self._block(disk)
        for header in self._facts.headers:
            if header.device not in self._drawn:
                opened = tuple(
                    Branch(mapping.name, "", tuple(_opened(mapping))) for mapping in self._facts.open_as(header)
                )
                yield Branch(header.device, "", tuple(_header(header)), opened)

    def _block(self, block: BlockDevice) -> Branch:
        self._drawn.add(block.path)
        header, mapping = self._headers.get(block.path), self._mappings.get(block.path)
        remarks = [block.kind] if mapping is None else list(_opened(mapping))
        if header is not None:
            remarks += _header(header)
            if not any(True for _ in self._facts.open_as(header)):
                remarks.append("closed")
        elif block.content and block.content != "crypto_LUKS":
            remarks.append(block.content)
        remarks += [str(mount) for mount in block.mounts[:2]]
        # Branches without anything encrypted are left out, but for what is on top of it.
        inside = mapping is not None or header is not None
        below = tuple(self._block(child) for child in block.children if inside or self._holds(child))
        return Branch(block.name, human_size(block.size_bytes), tuple(remarks), below)

    def _holds(self, block: BlockDevice) -> bool:
        inside = block.path in self._mappings or any(
            other.path in self._headers or other.path in self._mappings for other in block.family()
        )
        return inside or self._is_inside(block)

    def _is_inside(self, block: BlockDevice) -> bool:
        """Whether it is stacked on an open encrypted device."""
        return any(
            block in other.family() and other.path in self._mappings
            for disk in self._facts.disks
            for other in disk.family()
        )


def _header(header: Header) -> Iterator[str]:
    name = f"LUKS{header.version}" + (f" “{header.label}”" if header.label else "")
    yield f"{name} {header.cipher} {header.key_bits} bit" if header.key_bits else f"{name} {header.cipher}"
    usable = header.usable
    kinds = " and ".join(sorted({slot.kdf for slot in usable}))
    yield f"{len(usable)} of {header.slots_total} keyslots" + (f": {kinds}" if kinds else "")


def _opened(mapping: Mapping) -> Iterator[str]:
    yield f"open ({mapping.format.lower()})" if mapping.format not in ("LUKS1", "LUKS2", "") else "open"
    yield from mapping.options[:6]
