package lightmember

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Member is how a member is reached.
type Member struct {
	Name     string `json:"name"`
	Endpoint string `json:"endpoint"`
}

// Roll is what Run prints, once, when all members answer.
type Roll struct {
	// Door is the address of what Client talks to.
	Door    string   `json:"door"`
	CA      []byte   `json:"ca"`
	Members []Member `json:"members"`
}

// Run is a whole process: it reads an About from the file dir/about.json, serves so many members, prints a Roll and
// ends with ctx.
func Run(ctx context.Context, dir string, members int, out io.Writer) error {
	data, err := os.ReadFile(filepath.Join(dir, "about.json"))
	if err != nil {
		return fmt.Errorf("read what the members are to serve: %w", err)
	}
	var about About
	if err := json.Unmarshal(data, &about); err != nil {
		return fmt.Errorf("read what the members are to serve: %w", err)
	}
	f, err := New(dir, about, members)
	if err != nil {
		return err
	}
	if err := f.Listen(ctx, dir); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for whoever measures: %w", err)
	}
	server := &http.Server{Handler: f.door(), ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	roll := Roll{Door: listener.Addr().String(), CA: f.CA}
	for _, c := range f.Clusters {
		roll.Members = append(roll.Members, Member{Name: c.Name, Endpoint: c.Endpoint})
	}
	if err := json.NewEncoder(out).Encode(roll); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// door is for whoever measures.
func (f *Fleet) door() http.Handler {
	mux := http.NewServeMux()
	number := func(r *http.Request) int {
		n, _ := strconv.Atoi(r.URL.Query().Get("n")) // 0 where there is none
		return n
	}
	mux.HandleFunc("POST /hang", func(_ http.ResponseWriter, r *http.Request) { f.Hang(number(r)) })
	mux.HandleFunc("GET /writes", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(f.Writes()) })
	mux.HandleFunc("POST /expect", func(w http.ResponseWriter, r *http.Request) {
		var o Object
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.Expect(o)
	})
	mux.HandleFunc("GET /await", func(w http.ResponseWriter, r *http.Request) {
		at, err := f.Await(r.Context(), number(r))
		if err != nil {
			return // the client is gone
		}
		_ = json.NewEncoder(w).Encode(at)
	})
	return mux
}
