package main

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"keyhole.example/keyhole/configs"
)

// block is the indented text of the cluster guide that begins with first.
func block(t *testing.T, first string) string {
	t.Helper()
	guide, err := os.ReadFile("../../docs/guide/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(guide), "\n    "+first)
	if !ok {
		t.Fatalf("the guide has no block that begins with %q", first)
	}
	var b strings.Builder
	for line := range strings.Lines("    " + first + rest) {
		in, ok := strings.CutPrefix(line, "    ")
		if !ok {
			break
		}
		b.WriteString(in)
	}
	return b.String()
}

// checkCommand fails unless args are a command that processes share, with flags that
// it has. A train's preset has to be there.
func checkCommand(t *testing.T, args []string) {
	t.Helper()
	c, rest, err := commands(&options{}).Find(args)
	if err != nil || !slices.Contains(shared, c.Name()) {
		t.Errorf("%v: no command that processes share (%v)", args, err)
		return
	}
	if err := c.ParseFlags(rest); err != nil {
		t.Errorf("%v: %v", args, err)
	}
	if left := c.Flags().Args(); c.Name() == "train" {
		if _, ok := configs.Preset(left[0]); !ok {
			t.Errorf("%v: there is no preset %s", args, left[0])
		}
	}
}

// TestSlurmScript: the shell reads it, and its commands are ours.
func TestSlurmScript(t *testing.T) {
	script := block(t, "#!/bin/bash\n")
	runs := regexp.MustCompile(`(?m)^ *srun (?:--\S+ )*\./keyhole (.*)$`).FindAllStringSubmatch(script, -1)
	if len(runs) != 2 {
		t.Errorf("%d commands, want train and resume:\n%s", len(runs), script)
	}
	for _, m := range runs {
		checkCommand(t, strings.Fields(m[1]))
	}
	if !strings.Contains(script, "#SBATCH ") || !strings.Contains(script, "--signal=TERM@") {
		t.Errorf("nothing tells the tasks in time:\n%s", script)
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash to read the script")
	}
	c := exec.Command(bash, "-n")
	c.Stdin = strings.NewReader(script)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("bash -n: %v\n%s", err, out)
	}
}

// job is what the test reads of an MPIJob.
type job struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Spec       struct {
		SlotsPerWorker  int `yaml:"slotsPerWorker"`
		MPIReplicaSpecs map[string]struct {
			Replicas int
			Template struct {
				Spec struct {
					Containers []struct {
						Name, Image  string
						Command      []string
						VolumeMounts []struct {
							Name      string
							MountPath string `yaml:"mountPath"`
						} `yaml:"volumeMounts"`
					}
					Volumes []struct{ Name string }
				}
			}
		} `yaml:"mpiReplicaSpecs"`
	}
}

// TestKubernetesJob: it is YAML of an MPIJob that starts as many processes as there
// are slots, on a run in the volume that is mounted.
func TestKubernetesJob(t *testing.T) {
	var j job
	if err := yaml.Unmarshal([]byte(block(t, "apiVersion:")), &j); err != nil {
		t.Fatal(err)
	}
	if j.APIVersion != "kubeflow.org/v2beta1" || j.Kind != "MPIJob" {
		t.Errorf("%s of %s", j.Kind, j.APIVersion)
	}
	launcher, worker := j.Spec.MPIReplicaSpecs["Launcher"], j.Spec.MPIReplicaSpecs["Worker"]
	if len(launcher.Template.Spec.Containers) != 1 || len(worker.Template.Spec.Containers) != 1 {
		t.Fatalf("launcher and worker want a container each: %+v", j)
	}
	command := launcher.Template.Spec.Containers[0].Command
	at := slices.Index(command, "keyhole")
	if at < 3 || command[0] != "mpirun" || command[1] != "-n" {
		t.Fatalf("the launcher runs %q", command)
	}
	checkCommand(t, command[at+1:])
	var processes int
	if err := yaml.Unmarshal([]byte(command[2]), &processes); err != nil || processes != j.Spec.SlotsPerWorker*worker.Replicas {
		t.Errorf("%s processes on %d workers of %d slots", command[2], worker.Replicas, j.Spec.SlotsPerWorker)
	}
	mounts, volumes := worker.Template.Spec.Containers[0].VolumeMounts, worker.Template.Spec.Volumes
	if len(mounts) != 1 || len(volumes) != 1 || mounts[0].Name != volumes[0].Name || !strings.HasPrefix(command[len(command)-1], mounts[0].MountPath+"/") {
		t.Errorf("the run %s is in none of the volumes %v, mounted as %v", command[len(command)-1], volumes, mounts)
	}
}
