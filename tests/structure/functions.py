"""functions: finds function bodies by matching braces. A heuristic, not a parser."""

import re

TYPE_HEAD = re.compile(r"^(?:template\s*<.*>\s*)?(?:(?:typedef|static|inline|constexpr|const)\s+)*"
                       r"(?:class|struct|union|enum)\b", re.DOTALL)
SCOPE_HEAD = re.compile(r"^(?:inline\s+)?(?:namespace\b|extern\s*$)")
OPERATOR = re.compile(r"\boperator\s*(?:\(\)|\[\]|[^\s\w(]+)")
LAMBDA = re.compile(r"\[[^\[\]]*\]\s*(?:\(|$)")
# After a closing brace: that was a member's initializer, and the function is still to come.
CONTINUES = re.compile(r"\s*[,{]")
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)


def _without_arguments(text):
    """`text` without what stands in parentheses and template brackets."""
    text = text.replace("->", " ")
    while True:
        shorter = re.sub(r"\([^()]*\)|<[^<>]*>", " ", text)
        if shorter == text:
            return text
        text = shorter


def opens_function(head):
    """Whether the brace after `head`, in a namespace or class, begins a function's body."""
    head = OPERATOR.sub("operator_", head.strip())
    if not head or SCOPE_HEAD.match(head) or TYPE_HEAD.match(head):
        return False
    if "=" in _without_arguments(head):
        return LAMBDA.search(head.split("=", 1)[1]) is not None
    return "(" in head


def name_of(head):
    match = re.search(r"(operator\s*[^\s(]+|[~\w:]+)\s*\(", head)
    label = re.search(r"\b(?:TEST|TEST_F|TEST_P|TYPED_TEST|TYPED_TEST_P)\s*\(\s*(\w+)\s*,\s*(\w+)",
                      head)
    if label:
        return ".".join(label.groups())
    return match.group(1) if match else head.strip().split("\n")[-1]


def find_functions(code):
    """(name, first line, last line) of each function; `code` has no comments and no literals."""
    code = DIRECTIVE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), code)
    found = []
    head_start = 0
    body_depth = parentheses = 0
    body_head = body_line = None
    for position, char in enumerate(code):
        if body_head is not None:
            body_depth += (char == "{") - (char == "}")
            if char == "}" and body_depth == 0 and not CONTINUES.match(code, position + 1):
                found.append((name_of(body_head), body_line, code.count("\n", 0, position) + 1))
                body_head = None
                head_start = position + 1
        elif char in "()":
            parentheses += 1 if char == "(" else -1
        elif char == "{":
            head = code[head_start:position]
            if parentheses == 0 and opens_function(head):
                body_depth = 1
                body_head = re.sub(r"^(?:\s*(?:public|private|protected)\s*:)+", "", head)
                leading = len(head) - len(body_head.lstrip())
                body_line = code.count("\n", 0, head_start + leading) + 1
            elif parentheses == 0:
                head_start = position + 1
        elif char in ";}" and parentheses == 0:
            head_start = position + 1
    if body_head is not None:
        found.append((name_of(body_head), body_line, code.count("\n") + 1))
    return found
