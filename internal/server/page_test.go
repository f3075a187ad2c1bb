package server

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/web"
)

// plain is a client that asks for nothing compressed by itself.
func plain(t testing.TB) *http.Client {
	c := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// TestPage: everybody gets each file of the page, as it is and compressed, with what a browser has to know of it.
func TestPage(t *testing.T) {
	s := start(t, Options{House: newHouse(t), SocketPath: filepath.Join(shortDir(t), "s")})
	c := plain(t)
	if !slices.Contains(web.Paths(), "/") {
		t.Fatal("there is no page")
	}
	for _, path := range web.Paths() {
		want, tags := web.Lookup(path), map[string]bool{}
		for _, accept := range []string{"", "gzip", "br;q=1, gzip;q=0.5", "gzip;q=0, *"} {
			r := do(t, c, "GET", s.URL()+path, nil, "Accept-Encoding", accept)
			compressed := r.header.Get("Content-Encoding") == "gzip"
			body := r.body
			if compressed {
				z, err := gzip.NewReader(bytes.NewReader(body))
				if err == nil {
					body, err = io.ReadAll(z)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			small := want.Gzip() != nil && strings.Contains(accept, "gzip") && !strings.Contains(accept, "*")
			if r.status != http.StatusOK || !bytes.Equal(body, want.Body()) || compressed != small {
				t.Errorf("%s, %q: %d with %d bytes, compressed: %v", path, accept, r.status, len(body), compressed)
			}
			cache := "no-cache"
			if strings.HasPrefix(path, "/assets/") {
				cache = "public, max-age=31536000, immutable"
			}
			for name, value := range map[string]string{
				"Content-Type": want.Type, "Content-Length": strconv.Itoa(len(r.body)), "Cache-Control": cache, "Content-Security-Policy": web.Policy,
				"Vary": "Authorization, Accept-Encoding", "X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin",
				"Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer", "Set-Cookie": "",
			} {
				if got := r.header.Get(name); got != value {
					t.Errorf("%s: %s is %q, and not %q", path, name, got, value)
				}
			}
			tag := r.header.Get("ETag")
			tags[tag] = true
			if head := do(t, c, "HEAD", s.URL()+path, nil, "Accept-Encoding", accept); head.status != http.StatusOK || len(head.body) != 0 ||
				head.header.Get("Content-Length") != r.header.Get("Content-Length") || head.header.Get("ETag") != tag {
				t.Errorf("HEAD %s: %d %v", path, head.status, head.header)
			}
			again := do(t, c, "GET", s.URL()+path, nil, "Accept-Encoding", accept, "If-None-Match", `"x", W/`+tag)
			if again.status != http.StatusNotModified || len(again.body) != 0 || again.header.Get("Content-Security-Policy") != web.Policy ||
				again.header.Get("Cache-Control") != cache || again.header.Get("Vary") != "Authorization, Accept-Encoding" {
				t.Errorf("%s again: %d %v", path, again.status, again.header)
			}
		}
		if tags[""] || want.Gzip() != nil && len(tags) != 2 {
			t.Errorf("%s has the tags %v", path, tags)
		}
		if r := do(t, socketClient(t, s.SocketPath()), "GET", "http://localhost"+path+"?view=log&at=oldest", nil, "Accept-Encoding", ""); r.status != http.StatusOK || !bytes.Equal(r.body, want.Body()) {
			t.Errorf("%s through the socket: %d", path, r.status)
		}
	}
}

// TestNoPage: what the page has not is an error like others, and what is no page is not for everybody.
func TestNoPage(t *testing.T) {
	s := start(t, Options{House: newHouse(t)})
	for _, path := range []string{"/assets/nothing.js", "/assets/..%2findex.html", "/assets/sources.txt"} {
		r := send(t, "GET", s.URL()+path, "", "none")
		if r.status != http.StatusNotFound || r.code(t) != api.CodeNotFound || r.header.Get("Cache-Control") != "no-store" ||
			r.header.Get("Content-Security-Policy") != "default-src 'none'; frame-ancestors 'none'" {
			t.Errorf("%s: %d %v %s", path, r.status, r.header, r.body)
		}
	}
	for _, path := range []string{"/sources.txt", "/dist/index.html", "/view"} {
		if r := send(t, "GET", s.URL()+path, "", "read"); r.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	if r := send(t, "POST", s.URL()+"/", "{}", "read"); r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("%d %v", r.status, r.header)
	}
	if r := send(t, "GET", s.URL()+"/", "", "none", "Host", "evil.example"); r.status != http.StatusMisdirectedRequest {
		t.Errorf("the page of another host: %d", r.status)
	}
}

// TestPageWithoutAHouse: the page is there before the house is, and where the log is damaged.
func TestPageWithoutAHouse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home.db")
	h := openHouse(t, path)
	furnish(t, h)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	behind(t, path, `UPDATE segments SET body = x'00000000' WHERE last_position = 8`)
	damaged, err := statehouse.OpenContext(t.Context(), path, statehouse.Options{ReadOnlyIfDamaged: true})
	if err != nil || damaged.Damage() == nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = damaged.Close() })
	for want, opts := range map[api.Status]Options{api.StatusReplaying: {}, api.StatusReadOnly: {House: damaged}} {
		s := start(t, opts)
		for _, path := range web.Paths() {
			if r := send(t, "GET", s.URL()+path, "", "none"); r.status != http.StatusOK {
				t.Errorf("%s, %s: %d", want, path, r.status)
			}
		}
		if r := send(t, "GET", s.URL()+"/readyz", "", "none"); r.status != http.StatusServiceUnavailable || !bytes.Contains(r.body, []byte(want)) {
			t.Errorf("%s: %d %s", want, r.status, r.body)
		}
	}
}

func TestAcceptsGzip(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "gzip, deflate, br": true, "br,gzip": true, "deflate": false, "identity": false, "*": true,
		"gzip;q=0": false, "gzip; q=0.000": false, "gzip;q=0.1": true, "gzip;Q=0": false, "*;q=0": false, "gzip;q=0, *": false,
		"*, gzip;q=0": false, "gzip, *;q=0": true, "*;q=0, gzip": true, "gzip;q=x": false, "gzip;q=": false, "gzip;q=-1": false, "xgzip": false,
		"gzip;level=9": true, ",,;": false,
	} {
		if got := acceptsGzip(http.Header{"Accept-Encoding": {text}}); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if !acceptsGzip(http.Header{"Accept-Encoding": {"br", "gzip"}}) {
		t.Error("what a second header says is not heard")
	}
}

// frame is a message as the Connect protocol frames it.
func frame(text string) string {
	return "\x00" + string(binary.BigEndian.AppendUint32(nil, uint32(len(text)))) + text
}

// askFromPage sends what a browser sends for a page of the same origin, over HTTP/1.1; header says what is different.
func askFromPage(t *testing.T, s *Server, procedure, contentType, body string, header ...string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/statehouse.v1."+procedure, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	header = append([]string{
		"Origin", s.URL(), "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty",
		"Authorization", "Bearer read", "Content-Type", contentType, "Connect-Protocol-Version", "1",
	}, header...)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return plain(t).Do(req)
}

// TestProceduresFromThePage: what the page asks for is answered, and what a page of elsewhere asks for is not.
func TestProceduresFromThePage(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	for _, c := range []struct {
		header []string
		want   int
	}{
		{nil, 200},
		{[]string{"Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"}, 403},
		{[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{[]string{"Sec-Fetch-Site", "same-site"}, 403},
		{[]string{"Origin", "null", "Sec-Fetch-Site", ""}, 403},
		{[]string{"Authorization", ""}, 401},
	} {
		res, err := askFromPage(t, s, "TimelineService/Density", "application/json", `{"parts":2,"from":{"oldest":{}}}`, c.header...)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.ProtoMajor != 1 || res.StatusCode != c.want || bytes.Contains(text, []byte(`"counts":["`)) != (c.want == 200) ||
			res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v: %d %s %v", c.header, res.StatusCode, text, err)
		}
	}
}

// TestStreamToThePage: a stream that the page asks for comes as it goes on.
func TestStreamToThePage(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	const streaming = "application/connect+json"
	res, err := askFromPage(t, s, "StateService/Watch", streaming, frame("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 1 || res.Header.Get("Content-Type") != streaming {
		t.Fatalf("%s %v", res.Status, res.Header)
	}
	late := time.AfterFunc(patience, func() { _ = res.Body.Close() })
	defer late.Stop()
	hear := func(want string) {
		t.Helper()
		for {
			var head [5]byte
			_, err := io.ReadFull(res.Body, head[:])
			text := make([]byte, binary.BigEndian.Uint32(head[1:]))
			if err == nil {
				_, err = io.ReadFull(res.Body, text)
			}
			if err != nil {
				t.Fatalf("%s does not come: %v", want, err)
			}
			if bytes.Contains(text, []byte(want)) {
				return
			}
		}
	}
	hear(`"light.hall"`)
	appendEvents(t, h, lightEvent("light.later", 3))
	hear(`"light.later"`)
}
