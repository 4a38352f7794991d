package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"syscall"
	"time"
)

// server is a keyhole serve in a process of its own.
type server struct {
	base    string
	process *exec.Cmd
	stderr  *bytes.Buffer
	client  *http.Client
}

var address = regexp.MustCompile(`http://[0-9.:]+`)

// start starts a server of the embedded model and waits until it listens.
func start(program, store string, flags ...string) (*server, error) {
	c := exec.Command(program, append([]string{"serve", "embedded", "--addr", "127.0.0.1:0", "--store", store}, flags...)...)
	s := &server{process: c, stderr: &bytes.Buffer{}, client: &http.Client{
		Timeout: 2 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 256},
	}}
	c.Stderr = s.stderr
	stdout, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if s.base = address.FindString(line); err != nil || s.base == "" {
		_ = c.Process.Kill()
		return nil, fmt.Errorf("the server did not start: %w\n%s%s", errors.Join(err, c.Wait()), line, s.stderr)
	}
	return s, nil
}

// kill ends the process at once.
func (s *server) kill() error {
	if err := s.process.Process.Kill(); err != nil {
		return err
	}
	_ = s.process.Wait() // it was killed
	s.client.CloseIdleConnections()
	return nil
}

// end tells the server to stop, which it does with status 0.
func (s *server) end() error {
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := s.process.Wait(); err != nil {
		return fmt.Errorf("the server did not end well: %w\n%s", err, s.stderr)
	}
	return nil
}

// ask sends JSON and reads the answer into out, if that is not nil.
func (s *server) ask(method, path string, in, out any) (status int, err error) {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return 0, err
		}
		body = bytes.NewReader(raw)
	}
	q, err := http.NewRequest(method, s.base+path, body)
	if err != nil {
		return 0, err
	}
	q.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(q)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if out != nil && resp.StatusCode < 300 {
		err = json.Unmarshal(raw, out)
	}
	return resp.StatusCode, err
}

// must asks, and demands a status.
func (s *server) must(want int, method, path string, in, out any) error {
	status, err := s.ask(method, path, in, out)
	if err == nil && status != want {
		err = fmt.Errorf("%s %s: status %d, want %d", method, path, status, want)
	}
	return err
}

// trial makes an edit and returns its trial's id.
func (s *server) trial(editor string) (string, error) {
	var begun struct{ Job string }
	request := map[string]any{"prompt": "Friedrich Rosen succumbed at", "subject": "Friedrich Rosen", "target": "Rome"}
	if err := s.must(http.StatusAccepted, "POST", "/api/v1/trials", map[string]any{"request": request, "editors": []string{editor}}, &begun); err != nil {
		return "", err
	}
	for range 600 {
		var job struct {
			State  string
			Result struct{ Trials []struct{ ID, Reason string } }
		}
		if err := s.must(http.StatusOK, "GET", "/api/v1/jobs/"+begun.Job, nil, &job); err != nil {
			return "", err
		}
		switch {
		case job.State == "done" && len(job.Result.Trials) == 1 && job.Result.Trials[0].ID != "":
			return job.Result.Trials[0].ID, nil
		case slices.Contains([]string{"done", "failed", "cancelled"}, job.State):
			return "", fmt.Errorf("trial: %+v", job)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return "", errors.New("trial: it takes more than a minute")
}
