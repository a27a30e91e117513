// An advisory service on loopback that knows nothing: an audit must neither wait for a network nor depend on the day.
// Prints its address as `npm_config_registry`, and ends with its standard input.

import http from "node:http";

const server = http.createServer((request, response) => {
  request.resume().on("end", () => {
    response.setHeader("content-type", "application/json");
    response.end("{}");
  });
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
process.stdin.resume().on("end", () => process.exit());
