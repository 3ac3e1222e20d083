package health

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadResponse(t *testing.T) {
	for name, c := range map[string]struct {
		raw, text string
		want      response
		fails     bool
	}{
		"plain":              {raw: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", want: response{200, true, true}},
		"text":               {raw: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nis it ok ?", text: "ok", want: response{200, true, true}},
		"text missing":       {raw: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nko", text: "ok", want: response{200, false, true}},
		"text too late":      {raw: "HTTP/1.1 200 OK\r\nContent-Length: 6002\r\n\r\n" + strings.Repeat("x", 6000) + "ok", text: "ok", want: response{200, false, true}},
		"text at the limit":  {raw: "HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n" + strings.Repeat("x", 5118) + "ok" + strings.Repeat("x", 880), text: "ok", want: response{200, true, true}},
		"text past it":       {raw: "HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n" + strings.Repeat("x", 5119) + "ok" + strings.Repeat("x", 879), text: "ok", want: response{200, false, true}},
		"no reason":          {raw: "HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n", want: response{503, true, true}},
		"no length":          {raw: "HTTP/1.1 200 OK\r\n\r\nok", text: "ok", want: response{200, true, false}},
		"HTTP/1.0":           {raw: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", want: response{200, true, false}},
		"close":              {raw: "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nok", want: response{200, true, false}},
		"no content":         {raw: "HTTP/1.1 204 No Content\r\n\r\n", want: response{204, true, true}},
		"not modified":       {raw: "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", want: response{304, true, true}},
		"interim":            {raw: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", want: response{401, true, true}},
		"upgrade":            {raw: "HTTP/1.1 101 Switching Protocols\r\n\r\n", want: response{101, true, false}},
		"chunked":            {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n", text: "ok", want: response{200, true, true}},
		"chunked, trailer":   {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n", want: response{200, true, true}},
		"chunked, cut":       {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", want: response{200, true, false}},
		"chunks are garbage": {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok", text: "ok", fails: true},
		"two encodings":      {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 2\r\n\r\nok", want: response{200, true, false}},
		"smuggled":           {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n", want: response{200, true, false}},
		"two lengths":        {raw: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", fails: true},
		"more than asked":    {raw: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokok", want: response{200, true, false}},
		"body cut":           {raw: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", want: response{200, true, false}},
		"large body":         {raw: "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + strings.Repeat("x", 70000), want: response{200, true, false}},
		"newlines only":      {raw: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", want: response{200, true, true}},
		"folded line":        {raw: "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok", want: response{200, true, true}},
		"long line":          {raw: "HTTP/1.1 200 OK\r\nSet-Cookie: " + strings.Repeat("x", 20000) + "\r\nContent-Length: 2\r\n\r\nok", want: response{200, true, true}},
		"huge line":          {raw: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70000) + "\r\n\r\nok", fails: true},
		"huge header":        {raw: "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 20000) + "\r\nok", fails: true},
		"endless interim":    {raw: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 5000), fails: true},
		"garbage":            {raw: "SSH-2.0-OpenSSH_9.9\r\n", fails: true},
		"HTTP/2":             {raw: "HTTP/2 200 OK\r\n\r\n", fails: true},
		"no number":          {raw: "HTTP/1.1 OK 200\r\n\r\n", fails: true},
		"no colon":           {raw: "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", fails: true},
		"header cut":         {raw: "HTTP/1.1 200 OK\r\nContent-", fails: true},
		"nothing":            {raw: "", fails: true},
	} {
		got, err := readResponse(bufio.NewReader(strings.NewReader(c.raw)), c.text)
		if (err != nil) != c.fails || err == nil && got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
	}
}

func TestSearchFindsWhatIsReadInPieces(t *testing.T) {
	if found, err := search(iotest.OneByteReader(strings.NewReader("is it ok?")), "it ok"); !found || err != nil {
		t.Errorf("%v, %v", found, err)
	}
}

// FuzzResponse compares with net/http, where that understands the response.
func FuzzResponse(f *testing.F) {
	for _, raw := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 503 No\r\nConnection: close\r\n\r\nok",
		"HTTP/1.1 204\n\n", "SSH-2.0", "",
	} {
		f.Add([]byte(raw), "ok")
		f.Add([]byte(raw), "")
	}
	f.Fuzz(func(t *testing.T, raw []byte, text string) {
		got, err := readResponse(bufio.NewReaderSize(bytes.NewReader(raw), 64), text)
		if err != nil {
			return
		}
		if got.status < 100 || got.status > 999 || text == "" && !got.found || got.found && !bytes.Contains(raw, []byte(text)) && !bytes.Contains(bytes.ToLower(raw), []byte("chunked")) {
			t.Fatalf("%+v", got)
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), &http.Request{Method: "GET"})
		if err != nil || resp.StatusCode < 200 {
			return
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, textWithin))
		if err != nil {
			return
		}
		if resp.StatusCode != got.status {
			t.Fatalf("status %d, net/http reads %d", got.status, resp.StatusCode)
		}
		if found := bytes.Contains(body, []byte(text)); found != got.found && !resp.Uncompressed {
			t.Fatalf("found %v, net/http %v in %q", got.found, found, body)
		}
	})
}
