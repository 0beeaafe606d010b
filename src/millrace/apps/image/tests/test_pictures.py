"""What is in the files that come out."""

import io
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from PIL import Image

from millrace.appkit import Call
from millrace.appkit.memory import MemoryFiles
from millrace.apps.image.functions import FORMATS, convert, info, resize
from millrace.errors import DataError

EXIF = Image.Exif()
EXIF[274] = 6  # to be turned to the right
EXIF[271] = "Example"
EXIF.get_ifd(0x8825)[1] = "N"


def run(function, content, **parameters):
    files = MemoryFiles()
    call = Call(
        parameters={"data": files.keep(content, name="photo"), **parameters},
        context=SimpleNamespace(files=files),
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )
    answer = function(call)
    return answer, files.read(answer["data"]) if "data" in answer else b""


def saved(picture, format_, **options):
    target = io.BytesIO()
    picture.save(target, format_, **options)
    return target.getvalue()


def opened(content):
    return Image.open(io.BytesIO(content))


def colour(picture, x, y) -> tuple[int, int, int]:
    found = picture.convert("RGB").getpixel((x, y))
    assert isinstance(found, tuple)
    return found[0], found[1], found[2]


def photograph():
    """Left half red, right half blue, lying on its side."""
    picture = Image.new("RGB", (40, 20), "red")
    picture.paste("blue", (20, 0, 40, 20))
    return saved(picture, "JPEG", exif=EXIF, quality=95, comment=b"secret place")


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff", "avif"])
def test_metadata_is_left_out_and_the_picture_stands_upright(name):
    _, content = run(convert, photograph(), format=name)

    picture = opened(content)
    assert picture.size == (20, 40)
    assert dict(picture.getexif()).keys().isdisjoint({271, 274, 0x8825})
    assert b"Example" not in content
    assert b"secret" not in content
    red, _, blue = colour(picture, 10, 2)
    assert red > 200 > blue


def test_metadata_is_kept_on_request_without_the_turn():
    _, content = run(convert, photograph(), format="jpeg", keep_metadata=True)

    exif = opened(content).getexif()
    assert exif[271] == "Example"
    assert 274 not in exif


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK"])
def test_every_kind_of_picture_becomes_every_format(name, mode):
    source = Image.new(mode, (300, 200))
    content = saved(source, "TIFF" if mode in ("CMYK", "I;16", "LA") else "PNG")

    answer, converted = run(convert, content, format=name)

    assert answer["format"] == name
    assert opened(converted).size == (answer["width"], answer["height"])
    assert info_of(converted)["format"] == name


def info_of(content):
    return run(info, content)[0]


def test_grey_in_16_bits_stays_grey():
    content = saved(Image.new("I;16", (4, 4), 0x8000), "PNG")

    _, converted = run(convert, content, format="jpeg")
    assert 120 < colour(opened(converted), 1, 1)[0] < 136


def test_transparent_places_get_the_background():
    content = saved(Image.new("RGBA", (4, 4), (0, 0, 0, 0)), "PNG")

    _, converted = run(convert, content, format="bmp", background="#00ff00")
    assert colour(opened(converted), 1, 1) == (0, 255, 0)


@pytest.mark.parametrize("name", ["gif", "webp", "png"])
def test_an_animation_keeps_its_pictures_and_times(name):
    colours = ["red", "lime", "blue"]
    frames = [Image.new("RGB", (20, 10), colour) for colour in colours]
    content = saved(
        frames[0], "GIF", save_all=True, append_images=frames[1:], duration=[50, 70, 90]
    )

    answer, resized = run(resize, content, width=10, format=name)

    picture = opened(resized)
    assert (answer["width"], answer["height"]) == (10, 5)
    assert getattr(picture, "n_frames", 1) == 3
    picture.seek(1)
    assert colour(picture, 5, 2)[1] > 200
    assert picture.info["duration"] == 70


def test_an_animation_of_too_many_pixels_is_refused():
    frames = [Image.new("L", (4, 4), colour) for colour in (0, 100, 200)]
    content = bytearray(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    content[6:10] = (5000).to_bytes(2, "little") * 2  # the size that the file says it has

    with pytest.raises(DataError, match="million pixels"):
        run(resize, bytes(content), width=10)


def test_quality_makes_a_smaller_file():
    picture = Image.radial_gradient("L").resize((400, 400))
    content = saved(picture, "PNG")

    good = run(convert, content, format="jpeg", quality=95)[0]["size"]
    poor = run(convert, content, format="jpeg", quality=20)[0]["size"]
    assert poor < good / 2


def test_a_colour_profile_stays():
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = saved(Image.new("RGB", (4, 4)), "PNG", icc_profile=profile)

    _, converted = run(convert, content, format="jpeg")
    assert opened(converted).info["icc_profile"] == profile
