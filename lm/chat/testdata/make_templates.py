"""Conversations written by Jinja2, set up as transformers sets it up. Usage: make_templates.py templates.json
The templates are written here, in the manner of those of published families."""
import json, sys
from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

def complain(text): raise TemplateError(text)
ENV = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
ENV.globals["raise_exception"] = complain

TEMPLATES = {
    "marked turns, a default system turn": "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}{{ '<|im_start|>system\nBe helpful.<|im_end|>\n' }}{% endif %}"
        "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "headers, the start token first": "{% set turns = messages %}{% for m in turns %}{% set text = '<|h|>' + m.role + '<|/h|>\n\n' + m.content | trim + '<|eot|>' %}"
        "{% if loop.index0 == 0 %}{% set text = bos_token + text %}{% endif %}{{ text }}{% endfor %}{% if add_generation_prompt %}{{ '<|h|>assistant<|/h|>\n\n' }}{% endif %}",
    "alternating roles or a complaint": "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
        "{% if m['role'] == 'user' %}{{ '[I] ' + m['content'].strip() + ' [/I]' }}{% else %}{{ ' ' + m['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "blocks on lines of their own": "{%- if messages[0].role == 'system' %}\n    {%- set system = messages[0].content | trim %}\n    {%- set messages = messages[1:] %}\n{%- else %}\n    {%- set system = '' %}\n{%- endif %}\n"
        "{{- bos_token }}\n{% if system %}\n<sys>{{ system }}</sys>\n{% endif %}\n{% for m in messages %}\n  {% if m.role in ['user', 'assistant'] %}\n<{{ m.role }}>{{ m.content }}</{{ m.role }}>\n  {% endif %}\n{% endfor %}\n"
        "{%- if add_generation_prompt is defined and add_generation_prompt %}\n<assistant>\n{%- endif %}",
    "namespaces, macros, tests and slices": "{%- macro turn(role, text) -%}[{{ role | upper }}]{{ text }}{%- endmacro -%}{% set ns = namespace(n=0, last='') %}{% for m in messages[::-1] %}{% if m.role == 'user' and not ns.last %}{% set ns.last = m.content %}{% endif %}{% set ns.n = ns.n + 1 %}{% endfor %}"
        "{% for m in messages %}{{ turn(m.role, m.content) }}{% if not loop.last %}|{% endif %}{% endfor %} n={{ ns.n }} last={{ ns.last }} {{ tools is not defined }} {{ 'a' if messages | length > 1 else 'b' }} {{ messages[-1]['content'].startswith('Wh') }} {{ 'x,y'.split(',')[-1] }}",
}
TALKS = [
    [dict(role="user", content=" Who wrote Hamlet? ")],
    [dict(role="system", content="Answer briefly.\n"), dict(role="user", content="Why <b>&</b> 'how'?")],
    [dict(role="user", content="Q"), dict(role="assistant", content="A\n"), dict(role="user", content="Où ? 《资治通鉴》")],
    [dict(role="assistant", content="Hello"), dict(role="user", content="")],
]
cases = []
for name, text in TEMPLATES.items():
    for talk in TALKS:
        for answer in (True, False):
            try: out, error = ENV.from_string(text).render(messages=talk, bos_token="<s>", eos_token="</s>", add_generation_prompt=answer), None
            except TemplateError as e: out, error = None, str(e)
            cases.append(dict(name=name, template=text, messages=talk, answer=answer, text=out, error=error))
json.dump(cases, open(sys.argv[1], "w"), ensure_ascii=False, indent=0)
