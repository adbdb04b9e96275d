"""What a browser makes of a page: its tags and texts; and what must never become one."""

from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    '" onload="alert(1)',
    "' onmouseover='alert(1)",
    "</style><b>",
    "]]><!--",
    "{{ 7 * 191 }}{% if true %}",
    "\x1b[31m\x07\x00 ring",
    "abc\u202egnp.exe\u2066",
    "lone \ud83d half",
)


class Reader(HTMLParser):
    """Tags, attributes, ids and text of a page; fails on tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, key, value) for key, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, key, value) for key, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def values(self, name: str) -> list[str | None]:
        return [value for _, key, value in self.attributes if key == name]
