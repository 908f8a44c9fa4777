"""What building a site may execute is hashed: each way to change it afterwards asks again, or is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.errors import DefinitionError
from runbook.loader.site import read_site

CONFIGURATION = "site_name: Test\nhooks: [hooks.py]\nplugins: [search]\n"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "mkdocs.yml").write_text(CONFIGURATION)
    for name in ("hooks.py", "docs/index.md", "docs/code.md", "overrides/main.html", "docs/data.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("# words\n")
    (tmp_path / "docs/code.md").write_text('```python exec="on"\n```\n')
    return tmp_path


def digest(top: Path) -> str:
    return read_site(str(top / "mkdocs.yml")).digest


CHANGES = [
    ("mkdocs.yml", CONFIGURATION + "theme: mkdocs\n"),
    ("hooks.py", "other"),
    ("overrides/main.html", "{{ other }}"),
    ("docs/code.md", '```python exec="on"\n1\n```\n'),
    ("docs/new.md", "```python {.x exec}\n```\n"),
    ("docs/new.markdown", '```bash exec="1"\n```\n'),
    ("docs/index.md", "--8<-- 'data.csv'"),
    ("docs/index.md", "{{ macro }}"),
    ("docs/data.csv", '```python exec="on"'),
    ("tools/node.js", "new"),
    ("no-suffix", "new"),
    ("docs/site/x.html", "new"),
]
NO_CHANGES = [
    ("docs/index.md", "# Other words\n"),
    ("docs/new.md", "New, executive words\n"),
    ("site/index.html", "built"),
    ("runbooks/x/helper.py", "x"),
    (".git/config", "x"),
    (".cache/plugin/x.py", "x"),
    ("node_modules/x/index.js", "x"),
    ("venv/lib/x.py", "x"),
    ("__pycache__/hooks.cpython-311.pyc", "x"),
]


@pytest.mark.parametrize(("name", "text"), [*CHANGES, *NO_CHANGES])
def test_what_asks_again(top: Path, name: str, text: str) -> None:
    before = digest(top)
    (top / name).parent.mkdir(parents=True, exist_ok=True)
    (top / name).write_text(text)
    assert (digest(top) != before) == ((name, text) in CHANGES)


REFUSED = [
    ("INHERIT: .base.yml", "inherits from .base.yml, which is not hashed"),
    ("hooks: [../hooks.py]", "names ../hooks.py, above its folder"),
    ("hooks: [docs/../../x.py]", "above its folder"),
    ("hooks: [.hidden/x.py]", "names .hidden/x.py, which is not hashed\n    move it"),
    ('hooks: ["\\x2ehidden/x.py"]', "names .hidden/x.py, which is not hashed"),
    ("hooks: [./docs/../.hidden/x.py]", "above its folder"),
    ("theme: {name: x, custom_dir: .hidden}", "names .hidden, which is not hashed"),
    ("theme: {name: x, custom_dir: site}", "names site, which is not hashed"),
    ("hooks: [site/x.py]", "names site/x.py, which is not hashed"),
    ("hooks: [runbooks/x.py]", "names runbooks/x.py, which is not hashed"),
    ("hooks: [node_modules/x.py]", "names node_modules/x.py"),
    ("site_dir: &a overrides\ntheme: {custom_dir: *a}", "names overrides, which is not hashed"),
    ("extra: &a [site_url, site/x.py]\nsite_x: *a", "names site/x.py"),
    ("plugins: [{.hidden/x.py: {}}]", "names .hidden/x.py"),
    ("hooks: [", "is not YAML"),
    ("x: " + "[" * 3000 + "]" * 3000, "is not YAML"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_what_leads_out_of_what_is_hashed_is_refused(top: Path, text: str, said: str) -> None:
    for name in (".hidden", "site", "node_modules", "runbooks"):
        (top / name).mkdir()
        (top / name / "x.py").touch()
    (top / "mkdocs.yml").write_text(f"site_name: Test\n{text}\n")
    with pytest.raises(DefinitionError) as caught:
        read_site(str(top / "mkdocs.yml"))
    assert said in str(caught.value)


TAKEN = [
    "site_name: site",
    "site_dir: public",
    "site_url: https://example.org/site/",
    "nav: [{Home: index.md}, {Other: site/x.html}]",
    "theme: {name: material, custom_dir: overrides, favicon: /img/x.png}",
    "extra: &a {b: *a}",
    "x: !!python/name:material.extensions.emoji.twemoji",
    "repo_url: !ENV [URL, 'https://example.org']",
]


@pytest.mark.parametrize("text", TAKEN)
def test_what_any_site_says_is_taken(top: Path, text: str) -> None:
    (top / "mkdocs.yml").write_text(f"{text}\n")
    assert "mkdocs.yml" in read_site(str(top / "mkdocs.yml")).files


def test_a_link_within_is_followed_by_its_name_and_one_out_is_refused(top: Path) -> None:
    link = top / "docs/link"
    link.symlink_to("../hooks.py")
    before = digest(top)
    link.unlink()
    link.symlink_to("../overrides")
    assert digest(top) != before
    (top / ".git").mkdir()
    for out in ("/etc/passwd", "../..", "../.git", "../.git/hooks"):
        link.unlink()
        link.symlink_to(out)
        with pytest.raises(DefinitionError, match="is a link out of what is trusted"):
            digest(top)


def test_the_folder_that_is_built_may_have_another_name(top: Path) -> None:
    (top / "mkdocs.yml").write_text("site_name: Test\nsite_dir: public/html\n")
    before = digest(top)
    (top / "public").mkdir()
    (top / "public/x.html").touch()
    assert digest(top) == before


def test_more_files_than_can_be_meant_are_refused(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runbook.loader.site.MOST_FILES", 3)
    with pytest.raises(DefinitionError, match="has more than 3 files"):
        digest(top)
