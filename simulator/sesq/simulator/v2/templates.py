"""Templates in SESv2."""

from __future__ import annotations

from typing import Any

from sesq.simulator.errors import SesError
from sesq.simulator.members import items, mapping, needed_text, text
from sesq.simulator.templates import RenderingError, Template, read_data, render
from sesq.simulator.v2.router import Operation, Request, asked_page


def create(request: Request) -> dict[str, Any]:
    name = needed_text(request.body, "TemplateName")
    request.account.templates.create(name, _content(request)._replace(tags=items(request.body, "Tags")))
    return {}


def get(request: Request) -> dict[str, Any]:
    name = request.body["TemplateName"]
    template = request.account.templates.get(name)
    content = {"Subject": template.subject, "Text": template.text, "Html": template.html}
    return {
        "TemplateName": name,
        "TemplateContent": {part: value for part, value in content.items() if value},
        "Tags": template.tags,
    }


def update(request: Request) -> dict[str, Any]:
    request.account.templates.update(request.body["TemplateName"], _content(request))
    return {}


def delete(request: Request) -> dict[str, Any]:
    name = request.body["TemplateName"]
    request.account.tenants.keep(f"template/{name}")
    request.account.templates.delete(name)
    return {}


def list_all(request: Request) -> dict[str, Any]:
    templates = request.account.templates
    names, more = asked_page(request, templates.names(), largest=100)
    found = [{"TemplateName": name, "CreatedTimestamp": templates.get(name).created_at} for name in names]
    return {"TemplatesMetadata": found, **more}


def test_render(request: Request) -> dict[str, Any]:
    template = request.account.templates.get(request.body["TemplateName"])
    try:
        rendered = render(template, read_data(text(request.body, "TemplateData")))
    except RenderingError as error:
        raise SesError("bad_request", str(error)) from error
    return {"RenderedTemplate": f"Subject: {rendered.subject}\r\n\r\n{rendered.html or rendered.text}"}


def _content(request: Request) -> Template:
    content = mapping(request.body, "TemplateContent")
    subject, plain, html = (text(content, part) for part in ("Subject", "Text", "Html"))
    return Template(subject, plain, html, request.account.clock.now())


OPERATIONS = (
    Operation("POST", "/v2/email/templates", "CreateEmailTemplate", create),
    Operation("GET", "/v2/email/templates", "ListEmailTemplates", list_all),
    Operation("GET", "/v2/email/templates/{TemplateName}", "GetEmailTemplate", get),
    Operation("PUT", "/v2/email/templates/{TemplateName}", "UpdateEmailTemplate", update),
    Operation("DELETE", "/v2/email/templates/{TemplateName}", "DeleteEmailTemplate", delete),
    Operation("POST", "/v2/email/templates/{TemplateName}/render", "TestRenderEmailTemplate", test_render),
)
