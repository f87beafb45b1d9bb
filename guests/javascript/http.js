// Answers each request with a line: what benchmarks ask.
addEventListener('fetch', (event) => event.respondWith(new Response('hello\n')));
