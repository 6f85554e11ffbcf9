"""Reads the XML document that starts a workflow."""

from collections.abc import Iterator
from io import BytesIO
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from attrs import frozen

from workflow_async.sandbox.preservica.tokens import RefusalError
from workflow_async.sandbox.preservica.xml import NAMESPACE


@frozen
class StartRequest:
    """The contents of a request to start a workflow."""

    context_id: str | None
    context_name: str | None
    parameters: dict[str, str]
    correlation: str | None

    @classmethod
    def read(cls, body: bytes) -> "StartRequest":
        """Read the document. Its elements may be in any order."""
        root = parse(body)
        if root.tag != f"{NAMESPACE}}}StartWorkflowRequest":
            raise RefusalError(400, "Not a StartWorkflowRequest")
        pairs = [(_text(node, "Key"), _text(node, "Value")) for node in _children(root, "Parameter")]
        return cls(
            _text(root, "WorkflowContextId"),
            _text(root, "WorkflowContextName"),
            {key: value or "" for key, value in pairs if key},
            _text(root, "CorrelationId"),
        )


def parse(body: bytes) -> Element:
    """Parse a document. Tags are `namespace}name`. Refuse a DOCTYPE before anything in it is read."""
    builder, parser = TreeBuilder(), expat.ParserCreate(namespace_separator="}")
    parser.StartDoctypeDeclHandler = _no_doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.ParseFile(BytesIO(body.strip()))
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise RefusalError(400, f"Not well-formed XML: {error}") from None
    return builder.close()


def _no_doctype(*_: object) -> None:
    raise RefusalError(400, "A DOCTYPE is not allowed")


def _children(node: Element, name: str) -> Iterator[Element]:
    return (child for child in node if child.tag == f"{NAMESPACE}}}{name}")


def _text(node: Element, name: str) -> str | None:
    return next((child.text for child in _children(node, name)), None)
