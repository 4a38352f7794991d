package keyhole_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestSignatures: nothing that the root exports has a type from below internal.
func TestSignatures(t *testing.T) {
	files := token.NewFileSet()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		inner := map[string]bool{}
		for _, i := range f.Imports {
			if p := strings.Trim(i.Path.Value, `"`); strings.Contains(p, "/internal/") {
				inner[p[strings.LastIndexByte(p, '/')+1:]] = true
			}
		}
		look := func(what string, n ast.Node) {
			checked++
			ast.Inspect(n, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && inner[x.Name] {
						t.Errorf("%s: %s names %s.%s", path, what, x.Name, s.Sel.Name)
					}
				}
				return true
			})
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() {
					look(d.Name.Name, d.Type)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					x, ok := s.(*ast.TypeSpec)
					if !ok || !x.Name.IsExported() {
						continue
					}
					body, ok := x.Type.(*ast.StructType)
					if !ok {
						look(x.Name.Name, x.Type)
						continue
					}
					for _, field := range body.Fields.List {
						if len(field.Names) == 0 || field.Names[0].IsExported() {
							look(x.Name.Name, field.Type)
						}
					}
				}
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d signatures were looked at", checked)
	}
}
