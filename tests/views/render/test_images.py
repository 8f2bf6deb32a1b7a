"""Images on a terminal: the bytes of each graphics protocol, and half-blocks on a screen."""

import base64
import io
import re
from pathlib import Path

import pyte
import pytest
from rich.console import Console

from nbrun.views.render import images
from tests.support.images import encoded, png

Image = pytest.importorskip("PIL.Image", reason="the extra nbrun-cli[images] is not installed")


SVG = 'xmlns="http://www.w3.org/2000/svg" width="9" height="9"'


def printed(mime: str, content: str, how: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("NBRUN_IMAGES", how)
    images.graphics_protocol.cache_clear()
    file = io.StringIO()
    image = images.render(mime, content)
    assert image is not None
    console = Console(file=file, force_terminal=True, color_system="truecolor", width=60, height=30)
    console.print(image)
    images.graphics_protocol.cache_clear()
    return file.getvalue()


def test_half_blocks_show_two_pixels_per_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.new("RGB", (400, 400), (255, 0, 0))
    image.paste((0, 0, 255), (0, 210, 400, 400))
    text = printed("image/png", encoded(image, "PNG"), "blocks", monkeypatch)
    screen = pyte.Screen(60, 30)
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    seam = [row for row in range(30) if screen.buffer[row][0].bg == "0000ff"]
    first, last = screen.buffer[seam[0] - 2][0], screen.buffer[seam[-1]][0]
    assert (first.data, first.fg, first.bg) == ("▀", "ff0000", "ff0000")
    assert (last.fg, last.bg) == ("0000ff", "0000ff")
    assert [screen.buffer[0][column].data for column in (39, 40)] == ["▀", " "]  # cells of 10×20
    assert (screen.buffer[19][0].data, screen.buffer[20][0].data) == ("▀", " ")


def test_sixels_start_and_end_as_a_terminal_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed("image/png", png(), "sixel", monkeypatch)
    assert re.search(r"\x1bP[0-9;]*q.*#\d+;2;100;0;0.*\x1b\\", text, re.S)
    assert text.endswith("\x1b8")


def test_iterm_receives_the_image_file(monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed("image/png", png(), "iterm", monkeypatch)
    found = re.search(
        r"\x1b\]1337;File=inline=1;size=(\d+);width=4;height=2[^:]*:([^\x07]+)\x07", text
    )
    assert found is not None
    data = base64.b64decode(found[2])
    assert len(data) == int(found[1])
    assert Image.open(io.BytesIO(data)).size == (40, 40)


def test_kitty_receives_image_and_placement(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.__stdout__", out)
    text = printed("image/png", png(), "kitty", monkeypatch)
    sent = out.getvalue()
    assert re.match(r"\x1b_Gi=\d+,m=0,f=100,q=2;[A-Za-z0-9+/=]+\x1b\\", sent)
    assert re.search(r"\x1b_Ga=p,i=\d+,c=4,r=2,U=1,q=2\x1b\\", sent)
    assert text.count("\U0010eeee") == 8


@pytest.mark.parametrize(
    ("answer", "how"),
    [
        ("", "blocks"),
        ("\x1b[?62;22c", "blocks"),
        ("\x1b[?62;4;22c", "sixel"),
        ("\x1b[?4c", "blocks"),  # a VT132, which has no sixels
        ("\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.35.2)\x1b\\\x1b[?62;52;c", "kitty"),
        ("\x1b_Gi=31;OK\x1b\\\x1bP>|ghostty 1.0\x1b\\\x1b[?62;22c", "kitty"),
        ("\x1b_Gi=31;OK\x1b\\\x1bP>|Konsole 24.08\x1b\\\x1b[?62;1;4c", "sixel"),
        ("\x1b_Gi=31;ENOTSUPPORTED\x1b\\\x1bP>|kitty(0.1)\x1b\\\x1b[?62c", "blocks"),
        ("\x1bP>|iTerm2 3.5.0\x1b\\\x1b[?62;22c", "iterm"),
        ("\x1bP>|WezTerm 2024\x1b\\\x1b[?65;6;18;22c", "iterm"),
    ],
)
def test_protocol_chosen_by_terminal_answers(answer: str, how: str) -> None:
    assert images.choose_protocol(answer) == how


def plain_blue(kind: str) -> str:
    """Return a blue image as a kernel sends it. A GIF has a green second frame."""
    if kind == "SVG+XML":
        return f'<svg {SVG}><rect width="9" height="9" fill="#00f"/></svg>'
    first, second = (Image.new("RGB", (20, 20), colour) for colour in ("blue", "lime"))
    more = {"save_all": True, "append_images": [second]} if kind == "GIF" else {}
    return encoded(first, kind, **more)


def seen(text: str, how: str, sent: str) -> tuple[int, ...]:
    """Return the red, green and blue (up to 255) at the middle of what a terminal received."""
    if how == "blocks":
        screen = pyte.Screen(60, 30)
        pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
        return tuple(bytes.fromhex(screen.buffer[0][0].fg))
    if how == "sixel":  # each colour's register is defined in percent before its pixels
        (found,) = set(re.findall(r"#\d+;2;(\d+);(\d+);(\d+)", text))
        return tuple(round(int(part) * 2.55) for part in found)
    if how == "kitty":
        payload = "".join(re.findall(r"\x1b_G[^;]*m=[01][^;]*;([^\x1b]+)\x1b", sent))
    else:
        (payload,) = re.findall(r"1337;File=[^:]*:([^\x07]+)\x07", text)
    image = Image.open(io.BytesIO(base64.b64decode(payload))).convert("RGB")
    return image.getpixel((image.width // 2, image.height // 2))


@pytest.mark.parametrize("how", ["blocks", "sixel", "kitty", "iterm"])
@pytest.mark.parametrize("kind", ["PNG", "GIF", "JPEG", "WEBP", "SVG+XML"])
def test_every_format_drawn_by_every_protocol(
    kind: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first frame of a GIF is drawn."""
    out = io.StringIO()
    monkeypatch.setattr("sys.__stdout__", out)
    text = printed(f"image/{kind.lower()}", plain_blue(kind), how, monkeypatch)
    shades = zip(seen(text, how, out.getvalue()), (0, 0, 255), strict=True)
    assert all(abs(is_ - wanted) <= 4 for is_, wanted in shades)


def test_transparency_becomes_white(monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed("image/png", png(colour="#00000000", mode="RGBA"), "blocks", monkeypatch)
    assert "38;2;255;255;255" in text


def test_svg_reads_no_local_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.png").write_bytes(base64.b64decode(png(9, 9, "red")))
    for href in ("href", "xlink:href"):
        image = f'<image {href}="{tmp_path}/secret.png" width="9" height="9"/>'
        svg = f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {SVG}>{image}</svg>'
        assert "255;0;0" not in printed("image/svg+xml", svg, "blocks", monkeypatch)


def test_undrawable_image_gives_none() -> None:
    entity = '<!DOCTYPE svg [<!ENTITY x "y">]><svg xmlns="http://www.w3.org/2000/svg">&x;</svg>'
    assert images.render("image/png", "garbage") is None
    assert images.render("image/svg+xml", entity) is None
    assert images.render("image/svg+xml", "<svg") is None


def test_huge_image_in_small_file_not_decoded() -> None:
    huge = encoded(Image.new("1", (20_000, 20_000)), "PNG")
    assert images.render("image/png", huge) is None


def test_character_size_not_queried_from_terminal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A query would discard typed keys, and print a traceback if nothing answers."""
    images._cell_size.cache_clear()
    printed("image/png", png(), "blocks", monkeypatch)
    from textual_image import _terminal

    assert _terminal.get_cell_size() == (10, 20)
    assert capfd.readouterr() == ("", "")
