"""The API's own page: Swagger UI, with its files from this server and no other host."""

from importlib.resources import as_file, files

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, Response

PAGE = "/api/docs"
ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}


def add_documentation(app: FastAPI) -> None:
    """Serve it at ``/api/docs``."""

    @app.get(PAGE, include_in_schema=False)
    def documentation(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "")
        script, style, icon = (f"{root}{PAGE}/{name}" for name in ASSETS)
        return get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=app.title,
            swagger_js_url=script,
            swagger_css_url=style,
            swagger_favicon_url=icon,
        )

    @app.get(PAGE + "/{name}", include_in_schema=False)
    def asset(name: str) -> Response:
        if name not in ASSETS:
            return Response(status_code=404)
        with as_file(files("fastapi_swagger.resources") / name) as path:
            return Response(path.read_bytes(), media_type=ASSETS[name])
