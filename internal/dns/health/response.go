package health

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http/httputil"
	"net/textproto"
	"strconv"
	"strings"
)

const (
	// textWithin is how much of a body is searched, as Route 53 does it.
	textWithin = 5120
	// maxHeader is how many bytes the lines before a body may have, and maxDrain
	// how much of a body is read so that its connection can be used again.
	maxHeader = 64 << 10
	maxDrain  = 64 << 10
)

// response is what matters of an HTTP response.
type response struct {
	status int
	// found says whether the text was there.
	found bool
	// reusable says that the connection may take another request.
	reusable bool
}

var (
	errNotHTTP = errors.New("the answer is not HTTP")
	errHeader  = fmt.Errorf("the answer's header is larger than %d KiB", maxHeader>>10)
)

// readResponse reads a response to a GET (RFC 9112) and looks for text in the
// first bytes of its body. It is made for a thousand probes a second: what is
// not asked is not parsed. A body that ends too early is an error only if text
// is still looked for.
func readResponse(r *bufio.Reader, text string) (response, error) {
	budget := maxHeader
	for {
		h, err := readHeader(r, &budget)
		if err != nil {
			return response{}, err
		}
		// Interim responses, but for a switch of protocols, precede the real one.
		if h.status >= 100 && h.status < 200 && h.status != 101 {
			continue
		}
		found, complete, err := readBody(r, h, text)
		return response{
			status:   h.status,
			found:    found,
			reusable: err == nil && complete && h.keepAlive && h.status != 101 && r.Buffered() == 0,
		}, err
	}
}

// header is what decides how a body is read.
type header struct {
	status    int
	keepAlive bool
	chunked   bool
	// length of the body; -1: until the connection ends.
	length int64
}

func readHeader(r *bufio.Reader, budget *int) (header, error) {
	line, err := readLine(r, budget)
	if err != nil {
		return header{}, err
	}
	h := header{length: -1}
	// HTTP/1.1 200 OK
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[8] != ' ' || len(line) > 12 && line[12] != ' ' {
		return header{}, errNotHTTP
	}
	if h.status, err = strconv.Atoi(string(line[9:12])); err != nil || h.status < 100 {
		return header{}, errNotHTTP
	}
	h.keepAlive = line[7] != '0'
	for {
		line, err := readLine(r, budget)
		if err != nil {
			return header{}, err
		}
		if len(line) == 0 {
			break
		}
		if err := h.field(line); err != nil {
			return header{}, err
		}
	}
	if h.status < 200 || h.status == 204 || h.status == 304 {
		h.length, h.chunked = 0, false
	} else if h.chunked && h.length >= 0 {
		// Both lengths are an attack or a mistake (RFC 9112, section 6.3).
		h.length, h.keepAlive = -1, false
	}
	return h, nil
}

// field takes in a header line.
func (h *header) field(line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		return nil // goes on from the line before, as was allowed once
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return errNotHTTP
	}
	// Only three names matter, and their lengths are telling.
	switch len(name) {
	case len("Connection"), len("Content-Length"), len("Transfer-Encoding"):
	default:
		return nil
	}
	value = textproto.TrimBytes(value)
	switch {
	case equalFold(name, "Connection"):
		if bytes.Contains(bytes.ToLower(value), []byte("close")) {
			h.keepAlive = false
		}
	case equalFold(name, "Content-Length"):
		n, err := strconv.ParseUint(string(value), 10, 63)
		if err != nil || h.length >= 0 && h.length != int64(n) {
			return errNotHTTP
		}
		h.length = int64(n)
	case equalFold(name, "Transfer-Encoding"):
		h.chunked = equalFold(value, "chunked")
		h.keepAlive = h.keepAlive && h.chunked
	}
	return nil
}

func equalFold(b []byte, s string) bool { return len(b) == len(s) && strings.EqualFold(string(b), s) }

// readLine returns a line without its end. It is valid until the next read.
func readLine(r *bufio.Reader, budget *int) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	*budget -= len(line)
	if err == bufio.ErrBufferFull {
		return longLine(r, line, budget)
	}
	if err != nil {
		return nil, err
	}
	if *budget < 0 {
		return nil, errHeader
	}
	return trimEnd(line), nil
}

// longLine skips the rest of a line that is larger than the buffer, as cookies
// are; its beginning has the name of the field.
func longLine(r *bufio.Reader, line []byte, budget *int) ([]byte, error) {
	begin := bytes.Clone(line)
	for {
		line, err := r.ReadSlice('\n')
		if *budget -= len(line); *budget < 0 {
			return nil, errHeader
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		return begin, err
	}
}

func trimEnd(line []byte) []byte {
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// readBody looks for text in the first bytes of the body, and reads the rest if
// it is not much. complete says that nothing of it is left on the connection.
func readBody(r *bufio.Reader, h header, text string) (found, complete bool, err error) {
	body := io.LimitedReader{R: r, N: h.length}
	switch {
	case h.chunked:
		body = io.LimitedReader{R: httputil.NewChunkedReader(r), N: math.MaxInt64}
	case h.length < 0 && text == "":
		// It ends with the connection, and nobody wants it.
		return true, false, nil
	case h.length < 0:
		body.N = math.MaxInt64
	}
	found = text == ""
	if !found {
		if found, err = search(&body, text); err != nil {
			return false, false, err
		}
	}
	if h.length > maxDrain {
		return found, false, nil
	}
	_, err = io.CopyN(io.Discard, &body, maxDrain)
	if h.chunked {
		return found, err == io.EOF && skipTrailer(r), nil
	}
	return found, body.N == 0, nil
}

// search looks for text in the first textWithin bytes, and reads no further than
// it has to. A body that ends is no error.
func search(body io.Reader, text string) (bool, error) {
	buffer := make([]byte, textWithin)
	for n := 0; n < len(buffer); {
		m, err := body.Read(buffer[n:])
		from := max(0, n-len(text)+1)
		n += m
		if bytes.Contains(buffer[from:n], []byte(text)) {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// skipTrailer reads what follows the last chunk up to the empty line.
func skipTrailer(r *bufio.Reader) bool {
	budget := maxHeader
	for {
		line, err := readLine(r, &budget)
		if err != nil {
			return false
		}
		if len(line) == 0 {
			return true
		}
	}
}
