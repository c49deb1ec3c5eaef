"""Odd tables of labels, and what Python's csv module makes of them."""
import csv
import io

from parts import Case

HEAD = "id,fake_label,x_min,y_min,x_max,y_max,split"
ROWS = ["a,1,3,4,20,30,train", "b,0,0,0,0,0,test", "c,1,0,0,256,256,validation"]


def table(*rows, head=HEAD, between="\n"):
    return between.join([head, *rows]) + between


def make(random):
    plain = table(*ROWS)
    texts = {
        "plain": plain, "crlf": table(*ROWS, between="\r\n"), "cr": table(*ROWS, between="\r"), "no_last_line_end": plain[:-1],
        "six_columns": table("a,1,3,4,20,30", "b,0,0,0,0,0", head=HEAD[:-6]), "with_painter": table("a,1,3,4,20,30,train,telea", "b,0,0,0,0,0,test,", head=HEAD + ",painter"),
        "painter_of_real": table("b,0,0,0,0,0,test,telea", head=HEAD + ",painter"), "other_order": table("train,30,20,4,3,1,a", head="split,y_max,x_max,y_min,x_min,fake_label,id"),
        "quoted": table('"a","1","3","4","20","30","train"'), "quoted_comma": table('"a,b",1,3,4,20,30,train'), "quoted_quote": table('"a""b",1,3,4,20,30,train'),
        "quoted_line_end": table('"a\nb",1,3,4,20,30,train'), "quoted_head": table(*ROWS, head='"id","fake_label",x_min,y_min,x_max,y_max,split'),
        "quote_open": table('"a,1,3,4,20,30,train'), "quote_inside": table('a"b,1,3,4,20,30,train'), "quote_then_text": table('"a"b,1,3,4,20,30,train'),
        "split_empty": table("a,1,3,4,20,30,"), "split_val": table("a,1,3,4,20,30,val"), "split_unknown": table("a,1,3,4,20,30,dev"), "split_upper": table("a,1,3,4,20,30,Train"),
        "blank_last": plain + "\n\n", "blank_between": table(ROWS[0], "", ROWS[1]), "blank_first": "\n" + plain, "commas_alone": table(ROWS[0], ",,,,,,"), "spaces_alone": table(ROWS[0], "   "),
        "nul_last": plain + "\0", "nul_in_id": table("a\0b,1,3,4,20,30,train"), "empty": "", "head_alone": HEAD, "head_missing": "\n".join(ROWS),
        "head_upper": table(*ROWS, head=HEAD.upper()), "head_spaced": table(*ROWS, head=HEAD.replace(",", ", ")), "head_twice": table(HEAD, *ROWS), "column_twice": table("a,1,3,4,20,30,4", head=HEAD[:-5] + "x_max"),
        "column_unknown": table("a,1,3,4,20,30,7", head=HEAD[:-5] + "score"), "column_missing": table("a,1,3,4,20", head="id,fake_label,x_min,y_min,x_max"),
        "fields_few": table("a,1,3,4,20"), "fields_many": table("a,1,3,4,20,30,train,7"), "same_id": table(ROWS[0], ROWS[0]), "same_id_quoted": table(ROWS[0], '"a",0,0,0,0,0,test'),
        "id_empty": table(",1,3,4,20,30,train"), "id_path": table("../a,1,3,4,20,30,train"), "id_dot": table(".a,1,3,4,20,30,train"), "id_long": table("a" * 300 + ",1,3,4,20,30,train"),
        "id_200": table("a" * 200 + ",1,3,4,20,30,train"), "id_umlaut": table("ä,1,3,4,20,30,train"), "id_spaced": table(" a ,1,3,4,20,30,train"), "id_tab": table("a\tb,1,3,4,20,30,train"),
        "label_2": table("a,2,3,4,20,30,train"), "label_true": table("a,True,3,4,20,30,train"), "label_1.0": table("a,1.0,3,4,20,30,train"), "label_empty": table("a,,3,4,20,30,train"),
        "box_nan": table("a,1,nan,4,20,30,train"), "box_inf": table("a,1,3,4,inf,30,train"), "box_real": table("a,1,3.5,4,20,30,train"), "box_of_point_0": table("a,1,3.0,4,20,30,train"), "box_exponent": table("a,1,3e1,4,50,60,train"),
        "box_hex": table("a,1,0x3,4,20,30,train"), "box_octal": table("a,1,010,4,20,30,train"), "box_plus": table("a,1,+3,4,20,30,train"), "box_spaced": table("a,1, 3,4,20,30,train"), "box_negative": table("a,1,-3,4,20,30,train"),
        "box_inverted": table("a,1,20,4,3,30,train"), "box_empty": table("a,1,3,4,3,30,train"), "box_missing": table("a,1,,,,,train"), "box_outside": table("a,1,3,4,257,30,train"), "box_of_real": table("a,0,3,4,20,30,train"),
        "box_huge": table("a,1,3,4,99999999999999999999,30,train"), "box_minus_0": table("b,0,-0,0,0,0,test"), "semicolons": plain.replace(",", ";"), "tabs": plain.replace(",", "\t"),
        "many": table(*[f"i{i},{i % 2},{i % 2},0,{i % 2 * 9},{i % 2 * 9},train" for i in range(5000)]),
    }
    cases = [Case(f"{name}.csv", text.encode()) for name, text in texts.items()]
    for name, text in (("plain", plain), ("umlaut", texts["id_umlaut"]), ("emoji", table("a🙂,1,3,4,20,30,train"))):
        cases += [Case(f"utf8_mark_{name}.csv", text.encode("utf-8-sig")), Case(f"utf16_le_{name}.csv", b"\xff\xfe" + text.encode("utf-16-le")),
                  Case(f"utf16_be_{name}.csv", b"\xfe\xff" + text.encode("utf-16-be"))]
    cases += [Case("utf16_odd.csv", b"\xff\xfe" + plain.encode("utf-16-le") + b"\0"), Case("utf16_half_pair.csv", b"\xff\xfe" + table("a\ud83d,1,3,4,20,30,train").encode("utf-16-le", "surrogatepass")),
              Case("utf16_unmarked.csv", plain.encode("utf-16-le")), Case("latin1.csv", texts["id_umlaut"].encode("latin-1")), Case("png.csv", b"\x89PNG\r\n\x1a\n"), Case("utf8_broken.csv", table("a?,1,3,4,20,30,train").encode().replace(b"?", b"\xff"))]
    raw = plain.encode()
    for at in sorted(random.sample(range(len(raw)), 12)):
        cases.append(Case(f"cut_{at:03}.csv", raw[:at]))
    return cases


def read(content):
    """The rows as the programs' rules have them, over Python's csv module; ValueError where a rule is broken."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    lines = [r for r in csv.reader(io.StringIO(content.decode(encoding), newline=""), strict=True)]
    if not lines:
        raise ValueError("no header")
    head, *rows = lines
    needed = HEAD.split(",")[:6]
    if len(set(head)) != len(head) or not set(needed) <= set(head) or set(head) - {*needed, "split", "painter"}:
        raise ValueError(f"header {head}")
    read, seen = [], set()
    for cells in rows:
        if not any(cells):
            continue
        if len(cells) != len(head):
            raise ValueError(f"{len(cells)} cells")
        row = dict(zip(head, cells))
        name, box = row["id"], [int(row[k]) for k in needed[2:]]
        if not 0 < len(name.encode()) <= 200 or name[0] == "." or any(c in "/\\" or c < " " for c in name) or name in seen:
            raise ValueError(f"id {name!r}")
        if row["fake_label"] not in ("0", "1"):
            raise ValueError("label")
        fake = row["fake_label"] == "1"
        if not (0 <= box[0] < box[2] <= 256 and 0 <= box[1] < box[3] <= 256 if fake else box == [0] * 4 and not row.get("painter")):
            raise ValueError(f"box {box}")
        split = {"val": "validation"}.get(row.get("split", ""), row.get("split", ""))
        if split not in ("", "train", "validation", "test"):
            raise ValueError(f"split {split}")
        seen.add(name)
        read.append([name, fake, box, split, row.get("painter", "")])
    return read
