"""What Apache's patterns match, as far as paths can say it: <LocationMatch>, <FilesMatch>, wildcards. Pure.

Says nothing where it is not sure: who guards a pattern that no path stands for is told that it is open.
"""

import re

from penstock.interop.importing.apache_syntax import Node

# Ends of an expression after which all below a path, and perhaps the path itself, is meant.
ENDS = ("/.*$", "/.*", "(/.*)?$", "(/|$)", "(?:/|$)", "(/?|/.*)$", "/?$", "/$", "/", "$")
LITERAL = r"(?:[\w/~-]|\\[./-])+"
GROUP = r"\((?:\?:)?([^()]*)\)"
WITH_PATTERN = ("locationmatch", "directorymatch", "filesmatch", "if", "elseif", "else")


def has_pattern(node: Node) -> bool:
    """Whether a section is about more than one path or name."""
    if node.name in WITH_PATTERN or node.name == "files":
        return True
    return node.arguments[:1] == ["~"] or bool(re.search(r"[*?\[]", "".join(node.arguments)))


def paths_of(node: Node) -> list[str]:
    """The paths that a pattern of URLs stands for, with all below them; none when no paths do."""
    pattern = node.arguments[-1] if node.arguments else ""
    if node.name == "location" and node.arguments[:1] != ["~"]:
        return [pattern.removesuffix("/*")] if re.fullmatch(r"/[\w/.-]+/\*", pattern) else []
    if node.name not in ("location", "locationmatch") or not pattern.startswith("^"):
        return []
    end = next((end for end in ENDS if pattern.endswith(end)), "")
    body = pattern[1 : len(pattern) - len(end)]
    groups = re.findall(GROUP, body)
    if not end or len(groups) > 1:
        return []
    before, _, after = re.sub(GROUP, "\0", body).partition("\0")
    bodies = [f"{before}{word}{after}" for word in groups[0].split("|")] if groups else [body]
    if not all(one.startswith("/") and re.fullmatch(LITERAL, one) for one in bodies):
        return []
    return [re.sub(r"\\(.)", r"\1", one) for one in bodies]


def is_about_dotfiles(node: Node) -> bool:
    """Whether a section is only about files whose name begins with a dot, and directories of that kind."""
    pattern = node.arguments[-1] if node.arguments else ""
    if node.name in ("if", "elseif", "else"):
        return False
    if node.name == "files" and node.arguments[:1] != ["~"]:
        return pattern.startswith(".")
    return means_dotfiles(pattern, is_name=node.name.startswith("files"))


def means_dotfiles(pattern: str, is_name: bool = False) -> bool:
    """Whether all that a pattern of paths, or of names, matches has a name that begins with a dot."""
    if re.fullmatch(r"\^\((?:/\+?(?:(?:[\w-]|\\[.-])+/\+?)*\|?)+\)\(\.\*/\)\?\\\.", pattern):
        return True
    plain, before = re.sub(GROUP, "", pattern), pattern
    while plain != before:
        plain, before = re.sub(GROUP, "", plain), plain
    begins = plain.startswith("^\\.") if is_name else "/\\." in plain or pattern.startswith("(^|/)\\.")
    return begins and "|" not in plain
