(function_definition (signature (call_expression . (_) @name))) @function
(function_definition (signature (typed_expression . (call_expression . (_) @name)))) @function
(function_definition (signature (where_expression . (call_expression . (_) @name)))) @function
(function_definition (signature (where_expression . (typed_expression . (call_expression . (_) @name))))) @function
(assignment . (call_expression . (_) @name)) @function
(struct_definition (type_head (identifier) @name)) @struct
(struct_definition (type_head (binary_expression . (identifier) @name))) @struct
(struct_definition (type_head (parametrized_type_expression . (identifier) @name))) @struct
(struct_definition (type_head (binary_expression . (parametrized_type_expression . (identifier) @name)))) @struct
(abstract_definition (type_head (identifier) @name)) @type
(abstract_definition (type_head (binary_expression . (identifier) @name))) @type
(module_definition . (identifier) @name) @module
(macro_definition (signature (call_expression . (_) @name))) @macro
(const_statement (assignment . (identifier) @name)) @constant
(using_statement) @import
(import_statement) @import
