"""Help pages and translations: every node has them, they agree with it, ComfyUI serves them."""

import importlib
import json
import os
import re

import pytest

from animate_anyone_core.pose.retarget_settings import MULTIPLIABLE

pages = importlib.import_module("comfyui_harness.pages")

CHINESE = re.compile(r"[\u4e00-\u9fff]")
# Names that Chinese users write as they are.
SAME_IN_CHINESE = {"CFG", "VAE", "Latent", "ReferenceNet"}
SECTIONS = {
    "en": ["Inputs", "Outputs", "Tips", "If it fails"],
    "zh": ["输入", "输出", "提示", "常见错误"],
}
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")
LARGEST_WEB_FOLDER = 1_500_000


@pytest.fixture(scope="module")
def our_nodes(server):
    """Our entries of /object_info, by node id."""
    prefix = "AnimateAnyone_"
    found = {k: v for k, v in server.object_info().items() if k.startswith(prefix)}
    if os.environ.get("WRITE_PAGES"):
        write_derived(found)
    return found


def write_derived(nodes):
    """Write what is derived from the schemas and their words."""
    for language in pages.LANGUAGES:
        texts = pages.read_locale(language)
        for node_id, info in nodes.items():
            path = pages.page_path(node_id, language)
            if node_id in texts and path.is_file():
                bodies = pages.lists(info, texts[node_id], language)
                path.write_text(pages.with_lists(path.read_text("utf-8"), bodies), "utf-8")


def read_page(node_id, language):
    path = pages.page_path(node_id, language)
    assert path.is_file(), f"{node_id} has no help page {path.relative_to(pages.REPOSITORY)}"
    return path.read_text("utf-8")


def test_everything_has_english_words_and_nothing_else(our_nodes):
    """What a schema lacks there is None here."""
    expected = {node_id: pages.english(info) for node_id, info in our_nodes.items()}
    assert pages.read_locale("en") == expected, "write them in locales/en/nodeDefs.json"


def test_words_that_list_choices_list_them_all(our_nodes):
    """Texts that name what another module defines."""
    inputs = pages.read_locale("en")["AnimateAnyone_RetargetPose"]["inputs"]
    words = inputs["multipliers"]["tooltip"]
    assert [group for group in MULTIPLIABLE if group not in words] == []


def test_everything_is_translated_and_nothing_else(our_nodes):
    def names(texts):
        return {
            node_id: {group: sorted(entry[group]) for group in ("inputs", "outputs")}
            for node_id, entry in texts.items()
        }

    expected = {node_id: pages.english(info) for node_id, info in our_nodes.items()}
    assert names(pages.read_locale("zh")) == names(expected)


def test_the_chinese_texts_are_chinese():
    def texts(value, path=""):
        if isinstance(value, str):
            yield path, value
        else:
            for key, inner in value.items():
                yield from texts(inner, f"{path}.{key}")

    foreign = [
        path
        for path, text in texts(pages.read_locale("zh"))
        if not CHINESE.search(text) and text not in SAME_IN_CHINESE
    ]
    assert foreign == []


@pytest.mark.parametrize("language", pages.LANGUAGES)
def test_every_node_has_a_page_with_all_sections(our_nodes, language):
    wrong = {
        node_id: headings
        for node_id in our_nodes
        if (headings := re.findall(r"^## (.+)$", read_page(node_id, language), re.MULTILINE))
        != SECTIONS[language]
    }
    assert wrong == {}


@pytest.mark.parametrize("language", pages.LANGUAGES)
def test_pages_name_every_input_and_output_and_no_other(our_nodes, language):
    texts = pages.read_locale(language)
    stale = []
    for node_id, info in our_nodes.items():
        page = read_page(node_id, language)
        if page != pages.with_lists(page, pages.lists(info, texts[node_id], language)):
            stale.append(node_id)
    assert stale == [], "run with WRITE_PAGES=1 (see pages.py)"


def test_there_is_no_page_of_a_node_that_does_not_exist(our_nodes):
    in_english = {path.stem for path in pages.DOCS.glob("*.md")}
    translated = {path.parent.name for path in pages.DOCS.glob("*/*.md")}
    assert in_english == translated == set(our_nodes)


def test_pictures_on_pages_exist_and_are_described(our_nodes):
    for node_id in our_nodes:
        for language in pages.LANGUAGES:
            for description, name in PICTURE.findall(read_page(node_id, language)):
                assert description, f"{node_id}: {name} has no description"
                assert (pages.DOCS / name).is_file(), f"{node_id}: there is no {name}"


def test_every_picture_is_shown_on_a_page(our_nodes):
    shown = {name for node_id in our_nodes for _, name in PICTURE.findall(read_page(node_id, "en"))}
    there = {path.relative_to(pages.DOCS).as_posix() for path in pages.DOCS.glob("images/*")}
    assert there == shown


def test_what_travels_with_every_installation_is_small():
    files = [path for path in pages.DOCS.parent.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LARGEST_WEB_FOLDER
    assert {path.suffix for path in files} == {".md", ".png"}  # scripts would run in the page


def test_the_help_panel_gets_pages_and_pictures(page_server, our_nodes):
    """By the addresses that ComfyUI's page asks for: the language first, then English."""
    base = f"/extensions/{page_server.installed_pack.name}/docs"
    for node_id in our_nodes:
        page = read_page(node_id, "en")
        assert page_server.get(f"{base}/{node_id}.md").decode() == page
        assert page_server.get(f"{base}/{node_id}/zh.md").decode() == read_page(node_id, "zh")
        for _, name in PICTURE.findall(page):
            assert page_server.get(f"{base}/{name}") == (pages.DOCS / name).read_bytes()


@pytest.mark.parametrize("language", pages.LANGUAGES)
def test_the_page_gets_our_translations(server, language):
    offered = json.loads(server.get("/i18n"))[language]
    ours = pages.read_locale(language)
    assert {key: offered["nodeDefs"][key] for key in ours} == ours
    main = json.loads((pages.LOCALES / language / "main.json").read_text("utf-8"))
    for section, words in main.items():
        assert {key: offered[section][key] for key in words} == words


def test_nodes_are_found_by_other_words(our_nodes):
    """Where ComfyUI searches in aliases; before 0.10 it searches in names only."""
    if "search_aliases" not in next(iter(our_nodes.values())):
        pytest.skip("this ComfyUI knows no search aliases")
    poor = [node_id for node_id, info in our_nodes.items() if len(info["search_aliases"]) < 3]
    assert poor == []
