//! A site with a page for whatever a server may have to do. What each page does stands with its function.

mod bodies;
mod outside;
mod pages;
mod stops;

use guest_parts::query::Query;
use wstd::http::{Body, Error, Request, Response, StatusCode};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let query = Query::parse(request.uri().query().unwrap_or_default());
    match request.uri().path() {
        "/" => text(StatusCode::OK, "a site with a page for whatever a server may have to do\n"),
        "/headers" => pages::headers(&request),
        "/method" => pages::method(&request),
        "/status" => pages::status(&query),
        "/count" => pages::count(),
        "/secret" => pages::secret(request).await,
        "/env" => pages::environment(),
        "/file" => pages::file(&query),
        "/stdout" => pages::output(),
        "/grow" => pages::grow(&query),
        "/echo" => bodies::echo(request),
        "/sum" => bodies::sum(request).await,
        "/big" => bodies::big(&query),
        "/slow" => bodies::slow(&query),
        "/trailers" => bodies::trailers(request).await,
        "/after" => bodies::after(&query),
        "/fetch" => outside::fetch(&query).await,
        "/trap" => stops::trap(),
        "/trap-mid" => bodies::trap_in_the_middle(),
        "/spin" => stops::spin(),
        "/sleep-forever" => stops::sleep().await,
        "/exit" => std::process::exit(0),
        _ => text(StatusCode::NOT_FOUND, "no such page\n"),
    }
}

/// A short answer.
fn text(status: StatusCode, text: impl Into<String>) -> Result<Response<Body>, Error> {
    let response = Response::builder().status(status).header("content-type", "text/plain");
    Ok(response.body(text.into().into())?)
}
