"""The template of a batch: a folder on disk, one string in Redis, and a mail for each row.

newsletter/subject.txt       one line
newsletter/body.txt          and, or, body.html: jinja2, escaped in HTML
newsletter/headers.toml      own headers, such as List-Unsubscribe; Reply-To too
newsletter/attachments/      files that go with every mail

Nothing outside the folder is read: a link out of it is refused, since the file behind it would be mailed.
"""

from __future__ import annotations

import os
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sesq.config.errors import InvalidMessage, InvalidTemplate
from sesq.config.parts import part
from sesq.config.places import parse_toml
from sesq.producer import header_rules, rules
from sesq.producer.attachment import Attachment
from sesq.producer.batch.csv_rows import RECIPIENT
from sesq.queue.envelope import VERSIONS, Envelope, SimpleContent, encode_json, read_versioned

if TYPE_CHECKING:
    from sesq.producer.batch.sandbox import Text


MAX_BYTES = 10 * 1024 * 1024
"""Of one text of a template. Mail programs show a hundredth of that."""


@dataclass(frozen=True)
class Template:
    """The texts of a template as they were written. `name`: the folder's name, for people."""

    name: str
    subject: str
    text: str | None = None
    html: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    reply_to: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    unused: tuple[str, ...] = ()
    """Files in the folder that are not a part of the mail, to show at a check."""

    def __post_init__(self) -> None:
        header_rules.check_headers(self.headers)
        if self.text is None and self.html is None:
            raise InvalidTemplate(f"{self.name}: there is no body: write body.txt, body.html or both")
        self.renderer  # noqa: B018 - it raises the errors of the text

    @classmethod
    def read(cls, folder: str | Path) -> Template:
        """Reads the template in a folder. Raises InvalidTemplate, which names the file."""
        folder = Path(folder)
        if not folder.is_dir():
            raise InvalidTemplate(
                f"{folder}: is no folder; a template is a folder with subject.txt and a body"
            )
        source = _Folder(folder)
        subject = source.text("subject.txt")
        if subject is None:
            raise InvalidTemplate(f"{folder}: there is no subject.txt: write it, with one line")
        headers = _headers(folder / "headers.toml", source.text("headers.toml"))
        reply_to = [value for name, value in headers.items() if name.lower() == "reply-to"]
        try:
            return cls(
                name=folder.resolve().name,
                subject=subject.strip(),
                text=source.text("body.txt"),
                html=source.text("body.html"),
                headers={name: value for name, value in headers.items() if name.lower() != "reply-to"},
                reply_to=rules.address_list(reply_to, "Reply-To"),
                attachments=source.attachments(),
                unused=source.unused(),
            )
        except InvalidMessage as error:
            raise InvalidTemplate(f"{folder}: {error}") from error

    @cached_property
    def renderer(self) -> TemplateRenderer:
        """What makes mails of this template. It is compiled once."""
        return TemplateRenderer(self)

    @cached_property
    def digest(self) -> str:
        """A hash of the content, in hexadecimal. The folder's name does not count."""
        return sha256(encode_json(self._content()).encode()).hexdigest()

    def to_bytes(self) -> bytes:
        return zlib.compress(self._as_json().encode())

    @classmethod
    def from_bytes(cls, packed: bytes) -> Template:
        """Reads what `to_bytes` made. Raises InvalidMessage for an unknown version."""
        told = read_versioned(zlib.decompress(packed), "template")
        files = tuple(Attachment(name, b64decode(data), kind) for name, kind, data in told.pop("attachments"))
        return cls(**{**told, "reply_to": tuple(told["reply_to"])}, attachments=files)

    def _as_json(self) -> str:
        return encode_json({"v": VERSIONS[-1], "name": self.name, **self._content()})

    def _content(self) -> dict[str, Any]:
        files = [
            (each.name, each.content_type, b64encode(each.content).decode()) for each in self.attachments
        ]
        parts = {name: getattr(self, name) for name in ("subject", "text", "html")}
        return {**parts, "headers": dict(self.headers), "reply_to": self.reply_to, "attachments": files}


class TemplateRenderer:
    """Makes mails of a template. `needed` are the variables that every row must have, `used` all that it may have."""

    def __init__(self, template: Template) -> None:
        self.template = template
        text = _text_class()
        where = template.name
        self._subject: Text = text(template.subject, f"{where}/subject.txt")
        self._text = None if template.text is None else text(template.text, f"{where}/body.txt")
        self._html = None if template.html is None else text(template.html, f"{where}/body.html", html=True)
        self._headers = [
            (name, text(value, f"{where}/headers.toml: {name}")) for name, value in template.headers.items()
        ]
        parts = [self._subject, self._text, self._html, *(value for _, value in self._headers)]
        given = [part for part in parts if part is not None]
        self.needed = frozenset().union(*(part.needed for part in given)) - {RECIPIENT}
        self.used = frozenset().union(*(part.used for part in given)) - {RECIPIENT}

    def subject(self, values: dict[str, Any]) -> str:
        """Renders the subject for one row, whose variables include `email`. Raises InvalidMessage."""
        subject = self._subject.render(values).strip()
        header_rules.check_line(subject, "subject")
        return subject

    def content(self, values: dict[str, Any]) -> SimpleContent:
        """Renders the texts for one row. Raises InvalidMessage."""
        subject = self.subject(values)
        text = None if self._text is None else self._text.render(values)
        html = None if self._html is None else self._html.render(values)
        rules.check_size(
            rules.base64_size(rules.text_size(text, "text") + rules.text_size(html, "html")), "text"
        )
        headers = {name: value.render(values).strip() for name, value in self._headers}
        if headers:
            header_rules.check_headers(headers)
        return SimpleContent(subject, text, html, header_rules.encoded_headers(headers))

    def mail(self, envelope: Envelope, content: SimpleContent) -> SimpleContent | bytes:
        """Makes what SES gets: the content, or a whole mail if SES's Simple content cannot carry it.

        Raises InvalidMessage.
        """
        if not self.template.attachments and (
            not content.headers or header_rules.fit_simple(content.headers)
        ):
            return content
        from sesq.producer.mime import render

        mail = render(envelope, content, self.template.attachments)
        rules.check_size(len(mail), "attachments")
        return mail


def _text_class() -> type[Text]:
    with part("batch", "a batch"):
        from sesq.producer.batch.sandbox import Text  # here, so that only batches need jinja2
    return Text


class _Folder:
    """Reads what is in a template's folder. It follows no link out of the folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: set[str] = set()

    def text(self, name: str) -> str | None:
        """Reads a file as text; None if there is none. Raises InvalidTemplate, which names the file and the line."""
        self._read.add(name)
        path = self.path / name
        if not os.path.lexists(path):
            return None
        if not self._inside(path).is_file():
            raise InvalidTemplate(f"{path}: is no file, or a link to none")
        try:
            if path.stat().st_size > MAX_BYTES:
                raise InvalidTemplate(f"{path}: is larger than {MAX_BYTES:,} bytes")
            data = path.read_bytes()
        except OSError as error:
            raise InvalidTemplate(f"{path}: cannot be read: {error.strerror}") from error
        try:
            return data.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            raise InvalidTemplate(f"{path}, line {line}: is not UTF-8") from error

    def attachments(self) -> tuple[Attachment, ...]:
        """Reads the files that go with every mail."""
        folder = self.path / "attachments"
        if not folder.is_dir():
            return ()
        self._read.add(folder.name)
        files = [path for path in _visible(self._inside(folder)) if path.is_file()]
        try:
            return tuple(Attachment.from_path(self._inside(path)) for path in files)
        except OSError as error:
            raise InvalidTemplate(f"{error.filename}: cannot be read: {error.strerror}") from error

    def unused(self) -> tuple[str, ...]:
        """Lists what else is there: files with other names, and folders within `attachments`."""
        deeper = [path for path in _visible(self.path / "attachments") if not path.is_file()]
        others = [path for path in _visible(self.path) if path.name not in self._read]
        return tuple(str(path.relative_to(self.path)) for path in (*others, *deeper))

    def _inside(self, path: Path) -> Path:
        """Returns the same path. Raises InvalidTemplate if it leads out of the folder."""
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise InvalidTemplate(f"{path}: is a link out of the template's folder; copy the file into it")
        return path


def _visible(folder: Path) -> list[Path]:
    """Lists what is in a folder, except hidden files, which editors and systems leave behind."""
    return [path for path in sorted(folder.iterdir()) if path.name[0] != "."] if folder.is_dir() else []


def _headers(path: Path, source: str | None) -> dict[str, str]:
    if source is None:
        return {}
    try:
        headers = parse_toml(source)
    except ValueError as error:
        raise InvalidTemplate(f"{path}: {error}") from error
    for name, value in headers.items():
        if not isinstance(value, str):
            raise InvalidTemplate(f'{path}: {name} is not text: write {name} = "…"')
    return headers
