"""Draws the pretraining set: letters and symbols of many scripts and fonts, and random figures of strokes. No digits.

A class is a character, or a figure. A prototype is one drawing of it: the character in one font, the figure drawn once.
Prototypes are kept as signed distance fields of 64 x 64 pixels (positive inside the strokes, 16 steps a pixel, 128 on
the outline), so that distort.py can change the width of strokes and draw them sharply at any size.
"""

import pathlib
import subprocess
import unicodedata
import zlib

import cv2
import numpy as np
from fontTools.ttLib import TTFont, TTLibError
from PIL import ImageFont

SIDE = 64
GLYPH = 44  # the longer side of a glyph in the field
STEPS = 16  # grey levels a pixel of distance
FIGURES, DRAWN = 400, 24  # classes of strokes, prototypes of each
FACES = 48  # fonts of a class at most

# Scripts: first and last code point, and how many characters at most.
SCRIPTS = {
    "latin": (0x0041, 0x02AF, 190), "greek": (0x0370, 0x03FF, 60), "cyrillic": (0x0400, 0x04FF, 80),
    "armenian": (0x0531, 0x0587, 78), "hebrew": (0x05D0, 0x05EA, 27), "arabic": (0x0620, 0x06D3, 60),
    "nko": (0x07CA, 0x07EA, 33), "devanagari": (0x0904, 0x0939, 54), "bengali": (0x0985, 0x09B9, 50),
    "gurmukhi": (0x0A05, 0x0A39, 40), "gujarati": (0x0A85, 0x0AB9, 45), "oriya": (0x0B05, 0x0B39, 45),
    "tamil": (0x0B85, 0x0BB9, 36), "telugu": (0x0C05, 0x0C39, 50), "kannada": (0x0C85, 0x0CB9, 50),
    "malayalam": (0x0D05, 0x0D39, 50), "sinhala": (0x0D85, 0x0DC6, 40), "thai": (0x0E01, 0x0E2E, 44),
    "lao": (0x0E81, 0x0EAE, 30), "tibetan": (0x0F40, 0x0F6A, 40), "burmese": (0x1000, 0x102A, 40),
    "georgian": (0x10D0, 0x10FA, 40), "ethiopic": (0x1200, 0x135A, 100), "cherokee": (0x13A0, 0x13F4, 80),
    "syllabics": (0x1401, 0x167F, 100), "runic": (0x16A0, 0x16EA, 60), "khmer": (0x1780, 0x17A2, 33),
    "mongolian": (0x1820, 0x1842, 30), "lepcha": (0x1C00, 0x1C23, 30), "ol chiki": (0x1C5A, 0x1C77, 30),
    "glagolitic": (0x2C00, 0x2C2E, 45), "coptic": (0x2C80, 0x2CE4, 50), "tifinagh": (0x2D30, 0x2D67, 50),
    "hiragana": (0x3041, 0x3093, 80), "katakana": (0x30A1, 0x30F3, 80), "bopomofo": (0x3105, 0x3129, 37),
    "jamo": (0x3131, 0x3163, 40), "yi": (0xA000, 0xA48C, 60), "lisu": (0xA4D0, 0xA4F7, 40), "vai": (0xA500, 0xA60B, 80),
    "javanese": (0xA984, 0xA9B2, 40), "linear b": (0x10000, 0x1004D, 40), "old italic": (0x10300, 0x1031F, 27),
    "gothic": (0x10330, 0x10340, 17), "deseret": (0x10400, 0x1044F, 60), "osmanya": (0x10480, 0x1049D, 30),
    "cypriot": (0x10800, 0x10835, 40), "phoenician": (0x10900, 0x10915, 22),
}
HAN = ("人大小上下中日月水火木金土山川田天地王玉目耳口手足力刀工土子女男文方心犬牛羊魚鳥虫竹米糸車門雨色花草本林森石白"
       "赤青見立音生正先名年学校村町字気空左右出入早休夕夜円元刃丸弓引戸止毛父母北半矢切分今内午友太少公古台外市用"
       "示礼皿申由甲央史号主世皮平広去打功加包永末未必夫失氷民不井片欠支比反収仏久及亡之乃也了予云互介仁化凡凶")
SYMBOLS = "!?#$%&*+<=>@/\\^~§¶©®±×÷¢£¥€₩₪₫₱₴₹←↑→↓↔↕⇒⇔∀∂∃∅∇∈∉∋∏∑√∝∞∠∧∨∩∪∫∴≈≠≡≤≥⊂⊃⊆⊕⊗⊥⋄★☆☐☼♀♂♠♣♥♦♪♭♯✓✗✚✦❖"


def characters():
    """The characters by their script. Whatever has a numeric value is left out, and what is made by adding marks."""
    def wanted(code):
        char = chr(code)
        plain = unicodedata.normalize("NFKD", char) == char or 0x3131 <= code <= 0x3163
        return unicodedata.category(char) in ("Lu", "Ll", "Lo") and unicodedata.numeric(char, None) is None and plain

    found = {}
    for script, (first, last, most) in SCRIPTS.items():
        codes = [code for code in range(first, last + 1) if wanted(code)]
        # Half of them from the beginning, where the common letters are, half spread over the rest.
        keep = codes[:most] if len(codes) <= most else codes[:most // 2] + spread(codes[most // 2:], most - most // 2)
        found[script] = [chr(code) for code in keep]
    rng = np.random.default_rng(7)
    found["hangul"] = sorted(chr(0xAC00 + int(at)) for at in rng.choice(11172, 120, replace=False))
    found["han"] = sorted({char for char in HAN if unicodedata.numeric(char, None) is None})
    found["symbols"] = list(SYMBOLS)
    return found


def spread(items, count):
    return [items[at * len(items) // count] for at in range(count)]


def font_files():
    """The font files of the Debian packages in fonts.txt, each with its package, sorted; and the packages' versions."""
    packages = (pathlib.Path(__file__).parent / "fonts.txt").read_text().split()
    files, versions = [], {}
    for package in packages:
        listed = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True, check=True).stdout.split("\n")
        paths = {pathlib.Path(path).resolve() for path in listed if path.endswith((".ttf", ".otf", ".ttc"))}
        files += sorted((str(path), package) for path in paths if path.is_file())
        versions[package] = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package],
                                           capture_output=True, text=True, check=True).stdout
    return files, versions


def field(ink):
    """The distance field of a drawing of 2 SIDE x 2 SIDE pixels in 0 to 255."""
    inside = (ink > 127).astype(np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    half = cv2.resize(distance, (SIDE, SIDE), interpolation=cv2.INTER_AREA) / 2
    return np.clip(np.rint(128 + STEPS * half), 0, 255).astype(np.uint8)


def centred(ink):
    """A drawing scaled so that its longer side is 2 GLYPH, in the middle of 2 SIDE x 2 SIDE pixels."""
    height, width = ink.shape
    scale = 2 * GLYPH / max(height, width)
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    ink = cv2.resize(ink, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    out = np.zeros((2 * SIDE, 2 * SIDE), np.uint8)
    top, left = SIDE - size[1] // 2, SIDE - size[0] // 2
    out[top:top + size[1], left:left + size[0]] = ink
    return out


def glyph(font, char):
    mask = font.getmask(char, mode="L")
    width, height = mask.size
    if min(width, height) < 2:
        return None
    ink = np.array(mask, np.uint8).reshape(height, width)
    rows, columns = np.flatnonzero(ink.max(1) > 127), np.flatnonzero(ink.max(0) > 127)
    if len(rows) < 2 or len(columns) < 2:
        return None
    return field(centred(np.ascontiguousarray(ink[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1])))


def drawn_by_fonts(chars):
    """(class, font, field) for every character and font that has it; fonts without any of them are left out."""
    files, versions = font_files()
    classes = {ord(char): at for at, char in enumerate(chars)}
    found, fonts = [], []
    for path, package in files:
        try:
            with TTFont(path, fontNumber=0, lazy=True) as face:
                covered = set(face.getBestCmap() or ()) & classes.keys()
            font = ImageFont.truetype(path, 120, index=0, layout_engine=ImageFont.Layout.BASIC)
        except (OSError, TTLibError):
            continue
        drawings = [(classes[code], glyph(font, chr(code))) for code in sorted(covered)]
        drawings = [(label, drawing) for label, drawing in drawings if drawing is not None]
        if drawings:
            found += [(label, len(fonts), drawing) for label, drawing in drawings]
            fonts.append((pathlib.Path(path).name, package))
    return found, fonts, versions


def merged(found, count):
    """Characters drawn alike by at least half of the fonts that have both (A of Latin, Greek and Cyrillic) become one
    class: the class of each character, numbered by its first member."""
    alike, by_font = {}, {}
    for label, font, drawing in found:
        by_font.setdefault(font, []).append((label, drawing))
    for drawings in by_font.values():
        labels = np.array([label for label, _ in drawings])
        ink = np.stack([cv2.resize(np.clip((d.astype(np.float32) - 128) / STEPS + 0.5, 0, 1), (24, 24),
                                   interpolation=cv2.INTER_AREA).ravel() for _, d in drawings])
        size = (ink * ink).sum(1)
        difference = (size[:, None] + size[None] - 2 * ink @ ink.T) / np.maximum(size[:, None] + size[None], 1e-6)
        for left, right in zip(*np.nonzero(np.triu(difference < 0.05, 1))):
            pair = tuple(sorted((int(labels[left]), int(labels[right]))))
            alike[pair] = alike.get(pair, 0) + 1
    sets = [{label for label, _ in drawings} for drawings in by_font.values()]
    parent = list(range(count))

    def root(at):
        while parent[at] != at:
            at = parent[at]
        return at

    for (left, right), times in sorted(alike.items()):
        both = sum(left in present and right in present for present in sets)
        if 2 * times >= both:
            parent[max(root(left), root(right))] = min(root(left), root(right))
    return [root(at) for at in range(count)]


def figure(rng):
    """A class of strokes: control points in the unit square, and whether a stroke bends, breaks or closes."""
    strokes = []
    for number in range(rng.integers(1, 4)):
        points = rng.uniform(0, 1, (rng.integers(2, 6) if number else rng.integers(3, 7), 2))
        if number and rng.random() < 0.6:  # begins on an earlier stroke
            earlier = strokes[rng.integers(len(strokes))][1]
            points[0] = earlier[rng.integers(len(earlier))]
        strokes.append((rng.choice(["curve", "curve", "curve", "line", "loop"]), points))
    every = np.concatenate([points for _, points in strokes])
    low, extent = every.min(0), (every.max(0) - every.min(0)).max()
    return [(kind, (points - low) / extent) for kind, points in strokes]


def trace(kind, points):
    """The points of a stroke: a Catmull-Rom curve through its control points, or straight lines."""
    if kind == "line" or len(points) == 2:
        return points
    ring = np.concatenate([points[-1:], points, points[:2]]) if kind == "loop" else \
        np.concatenate([points[:1], points, points[-1:]])
    t = np.linspace(0, 1, 12, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(ring, ring[1:], ring[2:], ring[3:]):
        pieces.append(b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))))
    return np.concatenate(pieces + [ring[-2:-1]])


def drawn_figure(strokes, rng):
    ink = np.zeros((256, 256), np.uint8)
    thickness = int(rng.integers(6, 16))
    lean = rng.normal(0, 0.12)
    for kind, points in strokes:
        moved = points + rng.normal(0, 0.035, points.shape) + rng.normal(0, 0.025, 2)
        line = trace(kind, moved)
        line = np.stack([line[:, 0] + lean * line[:, 1], line[:, 1]], 1)
        pixels = np.rint((48 + 160 * line) * 16).astype(np.int32)
        cv2.polylines(ink, [pixels[:, None]], False, 255, thickness, cv2.LINE_AA, 4)
    rows, columns = np.flatnonzero(ink.max(1) > 127), np.flatnonzero(ink.max(0) > 127)
    return field(centred(np.ascontiguousarray(ink[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1])))


def build():
    """All prototypes: fields (n x 64 x 64), classes, whether held out; and the facts for the model card.

    One prototype in twelve of a class with at least four is held out, chosen by the font's or drawing's number."""
    scripts = characters()
    chars = [char for script in scripts.values() for char in script]
    found, fonts, versions = drawn_by_fonts(chars)
    roots = merged(found, len(chars))
    fields, labels, held, used = [], [], [], set()
    by_class = {}
    for label, font, drawing in found:
        by_class.setdefault(roots[label], []).append((font, drawing))
    for number, label in enumerate(sorted(by_class)):
        rng = np.random.default_rng(zlib.crc32(chars[label].encode()))
        drawings = by_class[label]
        chosen = [drawings[at] for at in sorted(rng.permutation(len(drawings))[:FACES])]
        used |= {font for font, _ in chosen}
        for at, (_, drawing) in enumerate(chosen):
            fields.append(drawing)
            labels.append(number)
            held.append(len(chosen) >= 4 and at % 12 == 3)
    glyph_classes, glyph_prototypes = len(by_class), len(fields)
    for number in range(FIGURES):
        rng = np.random.default_rng([2024, number])
        strokes = figure(rng)
        for at in range(DRAWN):
            fields.append(drawn_figure(strokes, rng))
            labels.append(glyph_classes + number)
            held.append(at % 12 == 3)
    facts = {
        "scripts": {script: len(chars) for script, chars in scripts.items()}, "characters": len(chars),
        "glyph_classes": glyph_classes, "figure_classes": FIGURES, "classes": glyph_classes + FIGURES,
        "glyph_prototypes": glyph_prototypes, "prototypes": len(fields), "held_out": int(sum(held)),
        "fonts": len(used), "packages": versions,
    }
    return np.stack(fields), np.array(labels), np.array(held), facts
