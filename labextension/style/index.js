import './base.css';
import './families.css';
