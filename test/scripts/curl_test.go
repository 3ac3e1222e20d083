package scripts

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// curl does what the documents use of curl, for machines that have none.
func curl(args []string) error {
	flags := flag.NewFlagSet("curl", flag.ContinueOnError)
	include := flags.Bool("include", false, "print the answer's headers")
	insecure := flags.Bool("insecure", false, "take any certificate")
	header := flags.String("header", "", "a header, as Name: value")
	var urls []string
	for rest := args; len(rest) > 0; {
		if err := flags.Parse(rest); err != nil {
			return err
		}
		if rest = flags.Args(); len(rest) > 0 {
			urls, rest = append(urls, rest[0]), rest[1:]
		}
	}
	for _, url := range urls {
		if err := get(url, *header, *include, *insecure); err != nil {
			return err
		}
	}
	return nil
}

func get(url, header string, include, insecure bool) error {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if name, value, ok := strings.Cut(header, ":"); ok {
		if value = strings.TrimSpace(value); strings.EqualFold(name, "Host") {
			request.Host = value
		} else {
			request.Header.Set(name, value)
		}
	}
	client := http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: insecure, ServerName: request.Host}},
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if include {
		fmt.Println(answer.Proto, answer.Status)
		if err := answer.Header.Write(os.Stdout); err != nil {
			return err
		}
		fmt.Println()
	}
	_, err = io.Copy(os.Stdout, answer.Body)
	return err
}
