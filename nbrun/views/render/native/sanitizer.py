"""The sanitizer of HTML and MathML. The only importer of nh3.

Its time can grow with the square of its input, so a long page is sanitized in the child process.
"""

import re

_TEXT_TAGS = """
a abbr b blockquote br caption cite code col colgroup dd del details dfn div dl dt em figcaption
figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strong sub summary
sup table tbody td tfoot th thead time tr u ul var
"""
_TAGS = set(_TEXT_TAGS.split())
_DROPPED = {"script", "style", "template", "title", "noscript", "svg", "math", "textarea"}
_ATTRIBUTES = {
    "*": {"title", "lang", "dir"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan", "style"},
    "th": {"colspan", "rowspan", "scope", "style"},
    "tr": {"style"},
    "ol": {"start"},
    "details": {"open"},
}
# MathML Core, without the elements that load, link, hide (`mphantom`) or run (`maction`).
_MATH = """
math mfrac mi mn mo mover mroot mrow mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr
munder munderover
"""
_MATH_TAGS = set(_MATH.split())
_MATH_ATTRIBUTES = {
    "math": {"display"},
    "mfrac": {"linethickness"},
    "mi": {"mathvariant"},
    "mo": {"accent", "fence", "form", "largeop", "maxsize", "minsize", "movablelimits", "stretchy"},
    "mover": {"accent"},
    "mspace": {"width"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mtable": {"columnalign", "columnlines", "columnspacing", "displaystyle", "rowlines"},
    "mtd": {"columnalign", "columnspan"},
    "munder": {"accentunder"},
}
# Keywords, and lengths too small to move anything far from its line.
_MATH_VALUE = re.compile(
    r"(?:(?:[a-z-]{1,24}|-?[0-9]{1,2}(?:\.[0-9]{1,4})?(?:em|ex|pt)?)(?: |$)){1,12}"
)
_STYLES = {"text-align", "font-weight", "font-style"}
_EMBEDDED_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*", re.I)


def sanitize(page: str) -> str:
    """Return untrusted HTML with nothing but harmless tags, attributes and links."""
    import nh3

    return nh3.clean(
        page,
        tags=_TAGS,
        clean_content_tags=_DROPPED,
        attributes=_ATTRIBUTES,
        attribute_filter=_filter_attribute,
        url_schemes={"http", "https", "mailto", "data"},
        filter_style_properties=_STYLES,
        link_rel="noopener noreferrer",
    )


def sanitize_mathml(page: str) -> str:
    """Return MathML with nothing but harmless elements and attributes."""
    import nh3

    return nh3.clean(
        page,
        tags=_MATH_TAGS,
        clean_content_tags=_DROPPED - {"math"},
        attributes=_MATH_ATTRIBUTES,
        attribute_filter=lambda _tag, _name, value: value if _MATH_VALUE.fullmatch(value) else None,
        link_rel=None,
    )


def _filter_attribute(tag: str, name: str, value: str) -> str | None:
    if (tag, name) == ("img", "src"):
        return value if _EMBEDDED_IMAGE.fullmatch(value.strip()) else None
    if (tag, name) == ("a", "href"):
        return value if re.match(r"(https?|mailto):", value, re.I) else None
    return value
