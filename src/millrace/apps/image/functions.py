"""Pictures, by Pillow, with a limit on pixels that is checked before any is unpacked."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from millrace.appkit import Binary, Call
from millrace.errors import BundleValidationError, DataError

MOST_PIXELS = 40_000_000
"""Of all pictures in a file together: 160 MB unpacked, and more than cameras of telephones make."""

FORMATS = {
    "jpeg": ("JPEG", ".jpg", "image/jpeg"),
    "png": ("PNG", ".png", "image/png"),
    "webp": ("WEBP", ".webp", "image/webp"),
    "gif": ("GIF", ".gif", "image/gif"),
    "avif": ("AVIF", ".avif", "image/avif"),
    "tiff": ("TIFF", ".tiff", "image/tiff"),
    "bmp": ("BMP", ".bmp", "image/bmp"),
    "ico": ("ICO", ".ico", "image/x-icon"),
}
"""Name → Pillow's name, ending, media type. Nothing else is read, PostScript least of all."""

_ANIMATED = frozenset(["gif", "webp", "png", "avif"])
_WITHOUT_TRANSPARENCY = frozenset(["jpeg", "bmp"])
_LARGEST_ICON = 256
_EXIF_MODEL, _EXIF_MAKER, _EXIF_TIME, _EXIF_DETAILS, _EXIF_TAKEN = 272, 271, 306, 0x8769, 36867


def resize(call: Call) -> dict[str, Any]:
    """The picture in another size."""
    given = call.parameters
    if not given.get("width") and not given.get("height"):
        raise BundleValidationError("width or height is missing")
    with _picture(call) as picture:
        change = _resizing(call, _upright_size(picture))
        return _written(call, picture, given.get("format") or "keep", change)


def convert(call: Call) -> dict[str, Any]:
    """The picture in another format."""
    with _picture(call) as picture:
        return _written(call, picture, call.parameters["format"], lambda frame: frame)


def info(call: Call) -> dict[str, Any]:
    """What the file says about itself; the picture is not unpacked."""
    data = call.parameters["data"]
    with _picture(call) as picture:
        width, height = _upright_size(picture)
        name = _name_of(picture)
        exif = picture.getexif()
        taken = exif.get_ifd(_EXIF_DETAILS).get(_EXIF_TAKEN) or exif.get(_EXIF_TIME)
        camera = f"{exif.get(_EXIF_MAKER) or ''} {exif.get(_EXIF_MODEL) or ''}".strip(" \0")
        return {
            "width": width,
            "height": height,
            "format": name,
            "contentType": FORMATS[name][2],
            "size": data.size_bytes if isinstance(data, Binary) else len(data),
            "frames": getattr(picture, "n_frames", 1),
            "hasTransparency": picture.has_transparency_data,
            "taken": _time(taken),
            "camera": camera or None,
        }


@contextmanager
def _picture(call: Call) -> Iterator[Any]:
    """The picture, opened and within limits; its pixels are read when they are asked for."""
    from PIL import Image, UnidentifiedImageError

    data = call.parameters["data"]
    if not isinstance(data, Binary | bytes):
        raise BundleValidationError("data: a file is expected")
    stream = call.files.open(data) if isinstance(data, Binary) else io.BytesIO(data)
    with stream:
        try:
            with Image.open(stream, formats=[entry[0] for entry in FORMATS.values()]) as picture:
                _check_size(picture)
                yield picture
        except UnidentifiedImageError as error:
            raise DataError(
                f"this is not a picture that can be read: {', '.join(FORMATS)}"
            ) from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise _too_large() from error
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk, not the picture
            raise DataError("the picture is damaged") from error


def _check_size(picture: Any, count: int = 1) -> None:
    width, height = picture.size
    if width * height * count > MOST_PIXELS:
        raise _too_large()


def _too_large() -> DataError:
    return DataError(f"the picture has more than {MOST_PIXELS // 1_000_000} million pixels")


def _name_of(picture: Any) -> str:
    """Our name of the format; a JPEG with several pictures (MPO) is a JPEG."""
    return next((name for name, entry in FORMATS.items() if entry[0] == picture.format), "jpeg")


def _upright_size(picture: Any) -> tuple[int, int]:
    """Width and height once the picture is turned the way its camera meant it."""
    width, height = picture.size
    return (height, width) if picture.getexif().get(274, 1) >= 5 else (width, height)


def _resizing(call: Call, size: tuple[int, int]) -> Callable[[Any], Any]:
    """The change of each picture in the file."""
    from PIL import Image, ImageOps

    given = call.parameters
    width, height = size
    mode = given.get("mode") or "fit"
    box_width: int = given.get("width") or 0
    box_height: int = given.get("height") or 0
    if not box_width or not box_height:
        mode = "fit"
        box_width = box_width or max(1, round(width * box_height / height))
        box_height = box_height or max(1, round(height * box_width / width))
    if not given.get("enlarge"):
        if mode == "fill":
            # As much as is there, in the shape of the box.
            scale = min(1, width / box_width, height / box_height)
            box_width, box_height = max(1, int(box_width * scale)), max(1, int(box_height * scale))
        else:
            box_width, box_height = min(box_width, width), min(box_height, height)
    if mode == "fit":
        scale = min(box_width / width, box_height / height)
        target = (max(1, round(width * scale)), max(1, round(height * scale)))
    else:
        target = (box_width, box_height)
    if target[0] * target[1] > MOST_PIXELS:
        raise BundleValidationError(
            f"the new size has more than {MOST_PIXELS // 1_000_000} million pixels"
        )
    if target == size:
        return lambda frame: frame
    if mode == "fill":
        return lambda frame: ImageOps.fit(frame, target, Image.Resampling.LANCZOS)
    return lambda frame: frame.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _written(
    call: Call, picture: Any, format_: str, change: Callable[[Any], Any]
) -> dict[str, Any]:
    """The changed picture as a new file."""
    given = call.parameters
    source = _name_of(picture)
    name = source if format_ == "keep" else format_
    kind, ending, media_type = FORMATS[name]
    options = _options(call, picture, name)
    count = getattr(picture, "n_frames", 1) if name in _ANIMATED else 1
    _check_size(picture, count)
    frames = _frames(call, picture, name, count, change)
    first = next(frames)
    if count > 1:
        options |= _animation(picture, name)
        options |= {"save_all": True, "append_images": list(frames)}
    if name == "ico":
        options["sizes"] = [first.size]
    data = given["data"]
    old = data.name if isinstance(data, Binary) else "picture"
    file_name = old if format_ == "keep" else f"{old.rpartition('.')[0] or old}{ending}"
    target = io.BytesIO()
    first.save(target, kind, **options)
    binary = call.files.keep(target.getvalue(), name=file_name, media_type=media_type)
    return {
        "data": binary,
        "fileName": file_name,
        "width": first.width,
        "height": first.height,
        "size": binary.size_bytes,
        "format": name,
    }


def _frames(
    call: Call, picture: Any, name: str, count: int, change: Callable[[Any], Any]
) -> Iterator[Any]:
    from PIL import ImageOps

    for index in range(count):
        if count > 1:
            picture.seek(index)
        frame = change(_smooth(ImageOps.exif_transpose(picture)))
        if name in _WITHOUT_TRANSPARENCY:
            frame = _on_background(frame, call.parameters.get("background") or "#ffffff")
        if name == "ico":
            frame.thumbnail((_LARGEST_ICON, _LARGEST_ICON))
        # What Pillow would carry over by itself: metadata of the old file.
        frame.info = {
            key: value
            for key, value in picture.info.items()
            if key in ("duration", "loop", "disposal")
        }
        yield frame


def _smooth(frame: Any) -> Any:
    """A picture in a mode that can be scaled without steps: palettes become colours."""
    if frame.mode in ("RGB", "RGBA", "L", "LA"):
        return frame
    if frame.mode.startswith("I"):
        # 16 bits of grey; a plain conversion would cut off everything above 255.
        return frame.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return frame.convert("RGBA" if frame.has_transparency_data else "RGB")


def _on_background(frame: Any, colour: str) -> Any:
    from PIL import Image

    if not frame.has_transparency_data:
        return frame if frame.mode in ("RGB", "L") else frame.convert("RGB")
    layer = frame.convert("RGBA")
    ground = Image.new("RGBA", layer.size, colour)
    ground.alpha_composite(layer)
    return ground.convert("RGB")


def _options(call: Call, picture: Any, name: str) -> dict[str, Any]:
    quality = int(call.parameters.get("quality") or 85)
    options: dict[str, Any] = {}
    if name in ("jpeg", "webp", "avif"):
        options["quality"] = quality
    if name in ("jpeg", "png"):
        options["optimize"] = True
    if name == "jpeg":
        options["progressive"] = True
    if name == "tiff":
        options["compression"] = "tiff_deflate"
    if name in ("jpeg", "png", "webp", "avif", "tiff"):
        if profile := picture.info.get("icc_profile"):
            options["icc_profile"] = profile
        if call.parameters.get("keep_metadata"):
            exif = picture.getexif()
            exif.pop(274, None)  # the picture is upright now
            options["exif"] = exif.tobytes()
    return options


def _animation(picture: Any, name: str) -> dict[str, Any]:
    options: dict[str, Any] = {"loop": picture.info.get("loop", 0)}
    durations = []
    for index in range(picture.n_frames):
        picture.seek(index)
        durations.append(int(picture.info.get("duration") or 100))
    options["duration"] = durations
    if name == "gif":
        options["disposal"] = 2
    return options


def _time(written: Any) -> str | None:
    """``2026:11:21 10:00:00``, as cameras write it, the way people do."""
    text = str(written or "").strip(" \0")
    return f"{text[:10].replace(':', '-')}{text[10:]}" if text else None
