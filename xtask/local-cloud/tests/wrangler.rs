//! The real wrangler against the local cloud: the control plane.

mod support;

use support::Cloud;

#[test]
fn a_request_for_an_unknown_route_says_so() {
    let cloud = Cloud::start();
    let answer = cloud.call("GET", "/nothing/here", None);
    assert_eq!(answer["errors"][0]["code"], 7000);
}
