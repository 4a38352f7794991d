"""Writes cases.json: what Jinja2 makes of templates, set up as transformers does.

python3 make.py > cases.json    # Jinja2 3.1
"""

import json

from jinja2.exceptions import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

CONTEXT = {
    "text": "  Hello, World  ", "word": "naïve", "n": 7, "x": 2.5, "yes": True, "no": False, "nothing": None, "empty": "",
    "list": [3, 1, 2], "words": ["b", "A", "c", "a"], "nested": [[1, 2], [3]], "dict": {"b": 1, "a": [1, "q'"], "items": 5},
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What's\nup?", "tools": [{"name": "f", "args": {"k": 1.0, "z": None}}]},
        {"role": "assistant", "content": 'Said "no" <b>&\u2028\u00e9'},
    ],
}

TEMPLATES = r"""
{{ n + 1 }} {{ n - 10 }} {{ n * 2 }} {{ n / 2 }} {{ n // 2 }} {{ -n // 2 }} {{ -n % 3 }} {{ n % -3 }} {{ 2 ** 3 }} {{ 2 ** -1 }} {{ -2 ** 2 }}
{{ 1 + 2 * 3 - 4 }} {{ (1 + 2) * 3 }} {{ 1 ~ 2 ~ 'a' + 'b' }} {{ 2 ** 3 ** 2 }} {{ 10 - 2 - 3 }} {{ 7 // 2 * 2 }} {{ x * 2 }} {{ x // 1 }} {{ 1e3 }} {{ 1_000 }} {{ 1.5e-7 }}
{{ 'a' * 3 }} {{ [1] * 2 + [2] }} {{ 3 * 'ab' }} {{ 'a' 'b' }} {{ "\n\t\\\x41\u00e9\101" }} {{ 'it''s' }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ True == 1 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 1 != 2 }} {{ 3 >= 3 }}
{{ 1 in list }} {{ 9 not in list }} {{ 'ell' in text }} {{ 'a' in dict }} {{ not 1 in list }} {{ 'x' in missing }}
{{ yes and n }} {{ no or empty or 'z' }} {{ not yes }} {{ not not n }} {{ nothing or missing or 5 }} {{ empty and n }}
{{ 'a' if yes else 'b' }} {{ 'a' if no }} {{ 'a' if no else 'b' if no else 'c' }} {{ (1 if no) is defined }}
{{ nothing }} {{ yes }} {{ x }} {{ list }} {{ dict }} {{ (1, 'a') }} {{ (1,) }} {{ () }} {{ {} }} {{ [[]] }} {{ 1.0 }} {{ 1e20 }} {{ 1, 2 }}
{{ ["a'b", 'a"b', "a'\"b", "\n\\", 'é', '\x01'] }}
{{ text[2] }} {{ text[-3] }} {{ list[0] }} {{ list[-1] }} {{ list[5] }} {{ list[5] is defined }} {{ word[2] }} {{ dict['a'] }} {{ dict.b }} {{ dict['zz'] }} {{ nested[0][1] }} {{ nested.1.0 }}
{{ text[2:5] }} {{ text[::-1] }} {{ list[1:] }} {{ list[:-1] }} {{ list[::2] }} {{ list[-2:] }} {{ list[5:] }} {{ list[::-2] }} {{ word[1:4:2] }} {{ list[2:0:-1] }} {{ (1,2,3)[1:] }} {{ messages[1:][0].role }}
{{ dict['items'] }} {{ dict.items() | list }} {{ dict.keys() | list }} {{ dict.get('b') }} {{ dict.get('q', 4) }} {{ dict.get('q') }}
{{ text.strip() }}|{{ text.lstrip() }}|{{ text.rstrip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'abcabc'.rstrip('cb') }}|{{ text | trim }}|{{ 'xax' | trim('x') }}
{{ text.upper() }} {{ text.lower() }} {{ 'hello world-wide'.title() }} {{ 'hELLO'.capitalize() }} {{ 'abc' | upper }} {{ 'a bc' | title }} {{ 'aBC' | capitalize }}
{{ 'a,b,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a  b c '.split() }} {{ ' a  b c '.split(None, 1) }} {{ ' a  b c '.rsplit(None, 1) }} {{ ''.split(',') }} {{ 'a\n\nb\n'.splitlines() }} {{ 'k=v=w'.partition('=') }}
{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'bc')) }} {{ 'abcb'.replace('b', 'X') }} {{ 'abcb'.replace('b', 'X', 1) }} {{ 'aXb'.find('b') }} {{ 'naïve'.find('v') }} {{ 'aa'.count('a') }} {{ 'abab'.rfind('ab') }} {{ 'abc'.find('z') }}
{{ 'ab1'.isalnum() }} {{ '12'.isdigit() }} {{ 'ab'.isalpha() }} {{ ' '.isspace() }} {{ 'AB'.isupper() }} {{ 'ab'.islower() }} {{ ''.isdigit() }} {{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('bc') }}
{{ ', '.join(words) }} {{ words | join('-') }} {{ list | join }} {{ messages | join('|', attribute='role') }} {{ '7'.zfill(3) }} {{ 'a'.ljust(3) }}| {{ 'a'.rjust(3) }} {{ 'ab'.center(5) }}|
{{ list | length }} {{ text | length }} {{ word | count }} {{ dict | length }} {{ missing | length }}
{{ missing | default('d') }} {{ empty | default('d') }} {{ empty | default('d', true) }} {{ nothing | d('d') }} {{ missing | d }}
{{ list | first }} {{ list | last }} {{ [] | first is defined }} {{ 'abc' | first }} {{ 'abc' | last }} {{ 'abc' | list }} {{ 'abc' | reverse }} {{ list | reverse | list }}
{{ list | sort }} {{ words | sort }} {{ words | sort(case_sensitive=true) }} {{ list | sort(reverse=true) }} {{ messages | sort(attribute='role') | map(attribute='role') | list }} {{ words | unique | list }} {{ list | min }} {{ list | max }} {{ list | sum }} {{ [1.5, 2] | sum }}
{{ messages | map(attribute='role') | list }} {{ words | map('upper') | join(',') }} {{ list | map('string') | list }} {{ ['a,b'] | map('replace', ',', ';') | list }} {{ messages | map(attribute='zz', default='-') | list }}
{{ list | select('odd') | list }} {{ list | reject('odd') | list }} {{ list | select('gt', 1) | list }} {{ [0, 1, '', 'a'] | select | list }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | rejectattr('role', 'eq', 'user') | map(attribute='role') | list }} {{ messages | selectattr('tools', 'defined') | list | length }} {{ messages | selectattr('tools') | map(attribute='role') | list }} {{ list | select('>', 1) | list }}
{{ '12' | int }} {{ 'x' | int }} {{ 'x' | int(5) }} {{ 3.9 | int }} {{ '3.7' | int }} {{ '2.5' | float }} {{ 3 | float }} {{ -3 | abs }} {{ 2.567 | round(2) }} {{ 2.5 | round }} {{ 2.1 | round(0, 'ceil') }} {{ 7 | string ~ 'a' }}
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(2, blank=true) }}|{{ 'a\nb' | indent('> ') }}
{{ dict | items | list }} {{ {'b': 1, 'a': 2} | dictsort }} {{ '<a href="x">\'' | e }} {{ '%s is %d' | format('a', 3) }} {{ '%s-%s' % (1, 'b') }} {{ '%s%%' % 5 }} {{ 'a b-c' | wordcount }}
{{ dict | tojson }} {{ messages[1] | tojson }} {{ messages[2].content | tojson }} {{ list | tojson(indent=2) }} {{ {'a': {}, 'b': [], 'c': [1, {'d': none}]} | tojson(indent=4) }} {{ 'é\u2028\x01/\\u2028' | tojson }} {{ 1.0 | tojson }} {{ yes | tojson }} {{ nothing | tojson }}
{{ n is odd }} {{ n is even }} {{ n is divisibleby 7 }} {{ n is divisibleby(2) }} {{ missing is defined }} {{ missing is not defined }} {{ n is not none }} {{ nothing is none }} {{ text is string }} {{ x is float }} {{ n is integer }} {{ yes is integer }} {{ yes is boolean }} {{ yes is number }} {{ dict is mapping }} {{ list is iterable }} {{ n is iterable }} {{ text is sequence }} {{ yes is true }} {{ no is false }} {{ 1 is true }} {{ n is eq 7 }} {{ n is in [7] }} {{ 'a' is lower }} {{ range is callable }} {{ n is gt 3 and n is lt 9 }} {{ missing is undefined }}
{{ range(3) | list }} {{ range(1, 8, 3) | list }} {{ range(3, 0, -1) | list }} {{ dict.b | string + 'x' }}
{% for i in list %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ i }};{% endfor %}
{% for i in list if i > 1 %}{{ i }}{{ loop.index }}{{ loop.last }}{% else %}none{% endfor %}{% for i in [] %}x{% else %}none{% endfor %}{% for i in missing %}x{% else %}none{% endfor %}
{% for k, v in dict.items() %}{{ k }}={{ v }};{% endfor %}{% for (a, b) in [(1, 2)] %}{{ a }}{{ b }}{% endfor %}{% for k in dict %}{{ k }}{% endfor %}{% for c in 'héy' %}{{ c }}.{% endfor %}
{% for i in range(9) %}{% if i == 1 %}{% continue %}{% elif i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}{% for i in [1, 2] %}{% for j in [3, 4] %}{{ i }}{{ j }}{{ loop.first }}{% if j == 3 %}{% break %}{% endif %}{% endfor %}{% endfor %}
{% for i in list %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }}{{ loop.cycle('a', 'b') }}{{ loop.changed(i > 1) }}{% endfor %}
{% for i in nested recursive %}[{{ i if i is number else loop(i) }}]{{ loop.depth }}{% endfor %}
{% set a = 1 %}{% for i in list %}{% set a = i %}{{ a }}{% endfor %}{{ a }}{% if yes %}{% set a = 5 %}{% endif %}{{ a }}{% set b, c = 1, 'q' %}{{ b }}{{ c }}
{% set ns = namespace(n=0, t='') %}{% for i in list %}{% set ns.n = ns.n + i %}{% set ns.t = ns.t ~ i %}{% endfor %}{{ ns.n }}{{ ns.t }}{{ ns.q is defined }}{% set ns.q = 1 %}{{ ns.q }}{{ namespace({'z': 2}).z }}
{% set block %}a{{ n }}b{% endset %}{{ block }}{% set up | upper %}abc{% endset %}{{ up }}{% set t = 1, 2 %}{{ t }}
{% macro m(a, b='d', c=n) %}({{ a }},{{ b }},{{ c }}){{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(1, c=3) }}{{ m('x', 2, 3, 4, z=5) }}{{ m() }}{{ m.name }}
{% macro outer() %}{{ n }}{{ later }}{% endmacro %}{% set later = 'L' %}{{ outer() }}{% macro wrap(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}{% call wrap('b') %}in{{ n }}{% endcall %}{% macro each() %}{{ caller(1) }}{{ caller(2) }}{% endmacro %}{% call(i) each() %}<{{ i }}>{% endcall %}
{% macro fact(k) %}{{ 1 if k < 2 else k * (fact(k - 1) | int) }}{% endmacro %}{{ fact(5) }}
{% filter upper %}a{{ n }}b{% endfilter %}{% filter replace('a', 'x') | trim %} aba {% endfilter %}{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}
{% raw %}{{ n }}{% if %}{# #}{% endraw %}|{%- raw -%} a {%- endraw -%} |{# a comment {{ n }} #}.{#- x -#} .
{% if no %}a{% elif n == 7 %}b{% else %}c{% endif %}{% if missing %}a{% elif empty %}b{% else %}c{% endif %}
{% set j = joiner('|') %}{% for i in list %}{{ j() }}{{ i }}{% endfor %}{{ dict(a=1) if false else '' }}{{ "a" if not no and (n > 1 or missing) }}
{{ messages[0]['role'] }} {{ messages[-1].role }} {{ messages | last | attr('zz') }} {{ messages[0].get('content') }} {{ (messages | first)['role'] }} {{ messages[1].tools[0].args.k }} {{ messages | length - 1 }} {{ messages[messages | length - 1]['role'] }} {{ 'role' in messages[0] }} {{ messages[0].content + 'x' }}
{{ missing.a }}
{{ missing + 'a' }}
{{ missing() }}
{{ dict.zz.q }}
{{ 1 + 'a' }}
{{ 1 / 0 }}
{{ n() }}
{{ list.append(1) }}
{{ raise_exception('stop here') }}
{{ 1 | nosuch }}
{{ 1 is nosuch }}
{{ 'a' < 1 }}
{{ for }}
{% if %}{% endif %}
{% for i in list %}
{% endfoo %}
{{ 1 + }}
{{ 'open }}
{% set a.b = 1 %}
{% for a, b in [1] %}{% endfor %}
{{ range(1.5) }}
{{ {[]: 1} }}
""".strip("\n").split("\n")

BLOCKS = [
    "a\n{% if yes %}\nb\n{% endif %}\nc\n", "a\n  {% if yes %}  \n  b\n  {%- endif %}\n c\n\n", "  {{ n }}  \n  {{ n -}}  \n  x", "a  {%- if yes -%}  b  {%- endif -%}  c",
    "{% for i in list %}\n  {{ i }}\n{% endfor %}\nend", "{%- for i in list -%}\n  {{- i -}}\n{%- endfor -%}\n", "a\n  {%+ if yes %}b{% endif +%}\nc", "a {# c #}\n  {# d #}\nb", "x\n    {# c -#}\n  y",
    "\n\n{{ n }}\n\n", "{{ n }}\r\n{% if yes %}\r\nz{% endif %}\r\n", "a\n\t {% set q = 1 %}\n{{ q }}", "{% if yes %}\n\n  x{% endif %}  \n{%- if yes %}\ny{% endif %}", "{{ '}}' }}{{ '%}' }}{{ {'a': {'b': 1}} }}{{ {'a': 1}['a'] }}",
    "{% generation %}x{{ n }}{% endgeneration %}", "{{ n}}{{n }}{{n}}{%if yes%}z{%endif%}{ { % } }", "a{% raw %}\n {% x %} \n{% endraw %}\nb", "{% block a %}q{{ n }}{% endblock %}", "{{\n n\n +\n 1 }}",
]


class Generation(loopcontrols):
    """Stands for AssistantTracker: the body, as it is."""

    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def refuse(message):
    raise TemplateError(message)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation])
env.filters["tojson"] = lambda x, ensure_ascii=False, indent=None, separators=None, sort_keys=False: json.dumps(
    x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
env.globals["raise_exception"] = refuse
cases = []
for template in TEMPLATES + BLOCKS:
    try:
        cases.append({"template": template, "text": env.from_string(template).render(**CONTEXT)})
    except Exception as e:  # whatever it is: the case is that it is refused
        cases.append({"template": template, "error": str(e)})
print(json.dumps({"context": CONTEXT, "cases": cases}, ensure_ascii=False, indent=1))
