"""ELAN's EAF: tiers of annotations between time slots, in milliseconds, as XML.

Tiers are as :mod:`laennec.annotations.tiers` has them. A file with a document type or an entity is refused:
ELAN writes none, and expanding a stranger's can fill the memory.

Source: ELAN Annotation Format, schema 3.0, The Language Archive, MPI for Psycholinguistics.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator

from laennec.annotations.events import Boundary, LabelFile, Problem, Row, collect, rounded_span
from laennec.annotations.tiers import channel_of, dealt

ROOT = "ANNOTATION_DOCUMENT"
TYPE = "default-lt"
SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
DATE = "2000-01-01T00:00:00+00:00"  # the format wants one; the labels' own is not known


def looks_like(text: str) -> bool:
    """Whether a text is an ELAN document."""
    return text.lstrip().startswith("<") and f"<{ROOT}" in text[:4000]


def read(text: str) -> LabelFile:
    """Read every tier of annotations with times; those that refer to others have none and are left out."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return LabelFile(problems=(Problem("", "an EAF with a document type, which ELAN does not write"),))
    try:
        return collect(list(_rows(ET.fromstring(text))), points=True)
    except ET.ParseError as error:
        return LabelFile(problems=(Problem("", f"not XML ({error})"),))
    except (KeyError, ValueError):
        return LabelFile(problems=(Problem("", "an EAF without the times of its annotations"),))


def _rows(root: ET.Element) -> Iterator[Row]:
    slots = {
        slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) / 1000
        for slot in root.iter("TIME_SLOT")
        if "TIME_VALUE" in slot.attrib
    }
    for tier in root.iter("TIER"):
        name = tier.attrib["TIER_ID"]
        for number, each in enumerate(tier.iter("ALIGNABLE_ANNOTATION"), start=1):
            start_s, end_s = (slots[each.attrib[f"TIME_SLOT_REF{k}"]] for k in (1, 2))
            label = (each.findtext("ANNOTATION_VALUE") or "").strip() or None
            yield Row(f"tier {name}, annotation {number}", start_s, end_s, label, channel_of(name))


def write(events: Iterable[Boundary], recording: str = "") -> str:
    """Return a document of events; `recording` names the media file."""
    about = {"AUTHOR": "", "DATE": DATE, "FORMAT": "3.0", "VERSION": "3.0"}
    namespace = {
        "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
        "xsi:noNamespaceSchemaLocation": SCHEMA,
    }
    root = ET.Element(ROOT, {**about, **namespace})
    header = ET.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    if recording:
        ET.SubElement(header, "MEDIA_DESCRIPTOR", {"MEDIA_URL": recording, "MIME_TYPE": "audio/*"})
    order = ET.SubElement(root, "TIME_ORDER")
    number = 0
    for name, own in dealt(events).items():
        tier = ET.SubElement(root, "TIER", {"LINGUISTIC_TYPE_REF": TYPE, "TIER_ID": name})
        for event in own:
            number += 1
            span = rounded_span(max(0.0, event.start_s), event.end_s, 3)
            slots = {}
            for k, time_s in enumerate(span, start=1):
                slot = f"ts{2 * number + k - 2}"
                slots[f"TIME_SLOT_REF{k}"] = slot
                milliseconds = str(round(time_s * 1000))
                ET.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": milliseconds})
            held = ET.SubElement(tier, "ANNOTATION")
            own_id = {"ANNOTATION_ID": f"a{number}", **slots}
            ET.SubElement(ET.SubElement(held, "ALIGNABLE_ANNOTATION", own_id), "ANNOTATION_VALUE").text = (
                event.annotated or ""
            )
    kind = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": TYPE, "TIME_ALIGNABLE": "true"}
    ET.SubElement(root, "LINGUISTIC_TYPE", kind)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"
