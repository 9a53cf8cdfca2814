"""Do the published clients take the files that people have, and get them back as they were?

The files are written here, by hand, with the standard library alone.
"""

import asyncio
import io
import zipfile

import pytest
from aether import AetherApiError
from bigrag import BigRAG

from calls import Caller

WHALES = "Whales are mammals that live in the sea."
BREAD = "Bread dough rises because yeast makes carbon dioxide."


def archive(parts: dict) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, text in parts.items():
            zipped.writestr(name, text)
    return into.getvalue()


def docx() -> bytes:
    def paragraph(text, style=""):
        style = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
        return f"<w:p>{style}<w:r><w:t>{text}</w:t></w:r></w:p>"

    body = paragraph("Bread", "H") + paragraph(BREAD) + paragraph("Sea", "H") + paragraph(WHALES)
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    style = '<w:style w:type="paragraph" w:styleId="H"><w:name w:val="heading 1"/></w:style>'
    return archive({
        "word/document.xml": f"<w:document {space}><w:body>{body}</w:body></w:document>",
        "word/styles.xml": f"<w:styles {space}>{style}</w:styles>",
    })


def pdf(pages: list) -> bytes:
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for text in pages:
        drawn = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET".encode()
        kids.append(f"{len(objects) + 1} 0 R")
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>"
            % (len(objects) + 2)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn))
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>".encode()
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)


@pytest.fixture(params=["sync", "async"])
def acme(server, request):
    """A partition of a fresh workspace, through both forms of the client."""
    client = Caller.open(request.param, server.url, server.mint(workspace=server.fresh_workspace()))
    yield client.partition("acme")
    client.close()


@pytest.fixture
def folder(tmp_path):
    """Files of every kind that people have, and two that nobody can read."""
    files = {
        "a.txt": WHALES.encode(),
        "b.md": f"# Bread\n{BREAD}\n# Sea\n{WHALES}\n".encode(),
        "c.html": f"<h1>Bread</h1><p>{BREAD}</p><h1>Sea</h1><p>{WHALES}</p>".encode(),
        "d.csv": f"what,said\nbread,{BREAD}\nsea,{WHALES}\n".encode(),
        "e.json": f'[{{"said": "{BREAD}"}}, {{"said": "{WHALES}"}}]'.encode(),
        "f.pdf": pdf([BREAD, WHALES]),
        "g.docx": docx(),
        "y.pdf": pdf([BREAD])[:200],
        "z.docx": pdf([BREAD]),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path, files


# Whoever points the client at a folder of documents would have some of them found, and not know which were not.
def test_a_folder_of_files_is_ingested_found_and_given_back(acme, folder):
    path, files = folder
    results = {result.path.rsplit("/", 1)[1]: result for result in acme.ingest_directory(path, chunk_size=24, overlap=0)}
    assert {name for name, result in results.items() if result.status != "ingested"} == {"y.pdf", "z.docx"}
    assert all(results[name].status == "skipped" and results[name].error for name in ("y.pdf", "z.docx"))
    for name, result in results.items():
        if result.status == "ingested":
            acme.download(result.doc_id, path / "back")
            assert (path / "back").read_bytes() == files[name], name
            assert WHALES in acme.get_text(result.doc_id).text, name
    hits = acme.retrieve("whales in the sea", k=20)
    assert {hit.doc_id for hit in hits} == {r.doc_id for r in results.values() if r.status == "ingested"}
    section = acme.get_text(results["g.docx"].doc_id, section="Sea")
    assert WHALES in section.text and BREAD not in section.text


# Background inserts name no type: a PDF would be stored as noise.
def test_a_file_in_the_background_is_what_its_content_says(acme, tmp_path):
    path = tmp_path / "report"
    path.write_bytes(pdf([WHALES]))
    job = acme.wait_for_job(acme.insert_async(path)["job_id"], timeout=60, poll_interval=0.05)
    assert acme.get(job["doc_id"]).content_type == "application/pdf"
    assert WHALES in acme.get_text(job["doc_id"]).text
    path.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(AetherApiError) as refused:
        acme.insert(path)
    assert refused.value.status_code == 422


# A citation would name no page, and the file behind it be another one.
def test_collections_take_files_and_tell_pages(server):
    key = server.mint(workspace=server.fresh_workspace())
    file = pdf([BREAD, WHALES])

    async def run():
        async with BigRAG(api_key=key, base_url=server.url, max_retries=0) as client:
            await client.collections.create({"name": "manuals", "chunk_size": 12, "chunk_overlap": 0})
            made = await client.documents.upload("manuals", ("a.pdf", file))
            found = await client.queries.query("manuals", {"query": "whales", "top_k": 1, "search_mode": "keyword"})
            return made, found["results"][0]

    made, hit = asyncio.run(run())
    assert (made["file_size"], made["file_type"]) == (len(file), "pdf")
    assert (hit["page_no"], hit["text"]) == (2, WHALES)
