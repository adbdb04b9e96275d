"""Reads a drawing back as XML."""

import math
import xml.etree.ElementTree as ElementTree

from markupsafe import Markup


def read_drawing(drawn: Markup) -> ElementTree.Element:
    """The drawing as XML, with every coordinate a finite number."""
    root = ElementTree.fromstring(drawn)
    for item in root.iter():
        for key in ("x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "width", "height"):
            if key in item.attrib:
                assert math.isfinite(float(item.attrib[key]))
                assert key not in ("width", "height", "r") or float(item.attrib[key]) >= 0
        assert "nan" not in item.attrib.get("d", "")
        assert "nan" not in item.attrib.get("points", "")
    return root
