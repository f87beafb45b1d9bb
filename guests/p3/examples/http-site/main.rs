//! A site with a page for whatever a server may have to do, on `wasi:http` 0.3. The pages are those of the site on 0.2
//! (`http/src/bin/http-site/`), and a few that only 0.3 can have.

mod bodies;
mod pages;
mod stops;

use guest_parts::query::Query;
use p3_guests::body::text;
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Request, Response};

struct Site;

impl Guest for Site {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let query = Query::parse(query);
        let response = match path {
            "/" => text(200, "a site with a page for whatever a server may have to do\n"),
            "/headers" => pages::headers(&request),
            "/method" => pages::method(&request),
            "/status" => pages::status(&query),
            "/count" => pages::count(),
            "/secret" => pages::secret(request).await,
            "/env" => pages::environment(),
            "/file" => pages::file(&query),
            "/stdout" => pages::output(),
            "/error" => return Err(ErrorCode::InternalError(Some("the inside of the guest".to_string()))),
            "/echo" => bodies::echo(request),
            "/copy" => bodies::copy(request),
            "/sum" => bodies::sum(request).await?,
            "/big" => bodies::big(&query),
            "/slow" => bodies::slow(query),
            "/trailers" => bodies::trailers(request).await?,
            "/bad-end" => bodies::bad_end(),
            "/after" => bodies::after(&query),
            "/fetch" => pages::fetch(&query).await,
            "/trap" => stops::trap(),
            "/trap-mid" => bodies::trap_in_the_middle(),
            "/spin" => stops::spin(),
            "/sleep-forever" => stops::sleep().await,
            "/exit" => std::process::exit(0),
            _ => text(404, "no such page\n"),
        };
        Ok(response)
    }
}

wasip3::http::service::export!(Site);
