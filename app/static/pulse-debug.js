/* The tracker with data-debug, or on localhost: the console says what becomes of each signal. docs/tracker.md */
(function () {
  var script = document.currentScript;
  var service = new URL("..", script.src).href;
  var endpoint = service + "api/track";
  var reasons = {
    site: "the script element has no data-site.",
    twice: "the tracker is on this page twice; only the first copy counts.",
    wish: "this browser asks not to be tracked, and data-dnt respects that.",
  };
  var why = reasons[script.dataset.why];
  if (why) return say("warn", "nothing is counted: " + why);

  var beacon = navigator.sendBeacon;
  navigator.sendBeacon = function (url, body) {
    if (url != endpoint) return beacon.apply(navigator, arguments);
    send(body);
    return true;
  };
  say("info", "debugging; signals go to " + endpoint);

  // As a batch of one, because the answer to a batch says how many signals were stored.
  function send(body) {
    var signal = JSON.parse(body);
    var what = signal.type + " of " + signal.path;
    var batch = JSON.stringify({ siteId: signal.siteId, batch: true, events: [signal] });
    fetch(endpoint, { method: "POST", body: batch, keepalive: true, credentials: "omit" }).then(
      function (response) {
        response.json().then(
          function (answer) {
            if (response.ok && answer.count) say("info", what + " is counted for " + signal.siteId + ".");
            else say("warn", what + " is not counted: " + reason(response, answer, signal));
          },
          function () {
            say("warn", what + " is not counted: the answer is not that of Pulsehouse; is the address of the script right?");
          },
        );
      },
      function () {
        var policy = "connect-src " + new URL(endpoint).origin;
        say("warn", what + " is not counted: the request was blocked. An ad blocker, a Content-Security-Policy without \"" + policy + "\", or no network.");
      },
    );
  }

  function reason(response, answer, signal) {
    if (response.ok) return "the service takes this browser for a bot, by its User-Agent: " + navigator.userAgent;
    if (response.status == 404) return service + " has no site \"" + signal.siteId + "\"; check data-site.";
    if (response.status == 403) return location.hostname + " is none of the domains of " + signal.siteId + "; add it to them.";
    return answer.error + " (" + response.status + ")";
  }

  function say(how, text) {
    console[how]("Pulsehouse: " + text);
  }
})();
